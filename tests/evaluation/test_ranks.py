import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation import ranks as ranks_module
from hbt_ray.evaluation.ranks import gold_ranks
from tests.evaluation.conftest import brute_ranks, random_set, tied_vectors


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 40), st.integers(1, 60), st.booleans())
def test_ranks_equal_full_rankings_with_ties(seed, num_langs, num_queries, num_passages, grouped):
    rng = np.random.default_rng(seed)
    rs = random_set(rng, num_langs, num_queries, num_passages, max_gold=9, grouped=grouped)
    queries, passages = tied_vectors(rng, num_queries), tied_vectors(rng, num_passages)
    want_within, want_pooled = brute_ranks(rs, queries, passages)
    for tile_bytes in (1, 2**20):  # several tiles of 16 queries; one tile
        got = gold_ranks(rs, queries, passages, tile_bytes=tile_bytes)
        np.testing.assert_array_equal(got.within, want_within)
        np.testing.assert_array_equal(got.pooled, want_pooled)


@pytest.mark.parametrize("copy_cost", [0, 10**9])
def test_both_ways_to_compare_columns_agree(copy_cost, monkeypatch):
    rng = np.random.default_rng(3)
    rs = random_set(rng, 3, 70, 600, max_gold=4)
    queries, passages = tied_vectors(rng, 70), tied_vectors(rng, 600)
    monkeypatch.setattr(ranks_module, "COPY_COST", copy_cost)
    got = gold_ranks(rs, queries, passages)
    want = brute_ranks(rs, queries, passages)
    np.testing.assert_array_equal(got.within, want[0])
    np.testing.assert_array_equal(got.pooled, want[1])


def test_real_valued_scores_and_more_passages_than_one_count_holds():
    rng = np.random.default_rng(0)
    rs = random_set(rng, 2, 50, 1500, max_gold=3)
    queries, passages = rng.standard_normal((50, 32)), rng.standard_normal((1500, 32))
    got = gold_ranks(rs, queries, passages)
    want = brute_ranks(rs, queries, passages)
    np.testing.assert_array_equal(got.within, want[0])
    np.testing.assert_array_equal(got.pooled, want[1])


def test_a_collapsed_encoder_ranks_by_row():
    rs = random_set(np.random.default_rng(1), 3, 8, 700)
    got = gold_ranks(rs, np.ones((8, 4), dtype=np.float32), np.ones((700, 4), dtype=np.float32))
    np.testing.assert_array_equal(got.pooled, rs.gold_passages + 1)


def test_vectors_that_do_not_match_the_set():
    rs = random_set(np.random.default_rng(2), 2, 4, 6)
    queries, passages = np.ones((4, 3)), np.ones((6, 3))
    with pytest.raises(EvaluationError, match="needs 4 rows"):
        gold_ranks(rs, queries[:3], passages)
    with pytest.raises(EvaluationError, match="encode both sides with the same model"):
        gold_ranks(rs, queries[:, :2], passages)
    passages[5, 0] = np.nan
    with pytest.raises(EvaluationError, match="passage_vectors row 5 holds NaN"):
        gold_ranks(rs, queries, passages)
