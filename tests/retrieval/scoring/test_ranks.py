from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring import ranks as ranks_module
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from hbt_ray.retrieval.sets.parallel import parallel_set
from tests.retrieval.conftest import brute_ranks, random_set, tied_vectors


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


@pytest.mark.parametrize("max_compared", [0, 2, 10**9])  # sort all rows; those of 3 and 4 passages; none
@pytest.mark.parametrize("grouped", [False, True])
def test_sorted_and_compared_rows_agree(max_compared, grouped, monkeypatch):
    rng = np.random.default_rng(3)
    rs = random_set(rng, 3, 70, 600, max_gold=4, grouped=grouped)
    queries, passages = tied_vectors(rng, 70), tied_vectors(rng, 600)
    monkeypatch.setattr(ranks_module, "MAX_COMPARED", max_compared)
    got = gold_ranks(rs, queries, passages)
    want = brute_ranks(rs, queries, passages)
    np.testing.assert_array_equal(got.within, want[0])
    np.testing.assert_array_equal(got.pooled, want[1])


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("block_bytes", [1, 4 * 600 * 7, 2**30])  # a row at a time, seven, and all
def test_neither_threads_nor_blocks_change_a_rank(num_threads, block_bytes, monkeypatch):
    rng = np.random.default_rng(4)
    rs = random_set(rng, 4, 90, 600, max_gold=30)
    queries, passages = tied_vectors(rng, 90, levels=1), tied_vectors(rng, 600, levels=1)
    want = brute_ranks(rs, queries, passages)
    monkeypatch.setattr(ranks_module, "BLOCK_BYTES", block_bytes)
    got = gold_ranks(rs, queries, passages, tile_bytes=4 * 600 * 40, num_threads=num_threads)
    np.testing.assert_array_equal(got.within, want[0])
    np.testing.assert_array_equal(got.pooled, want[1])


def test_an_answer_in_every_one_of_many_languages_some_of_them_copies():
    rng = np.random.default_rng(5)
    num_langs, num_items = 40, 12
    rs = parallel_set("parallel", [f"l{number}" for number in range(num_langs)], np.ones((num_items, num_langs), bool))
    queries, passages = (tied_vectors(rng, rows, dim=16, levels=30) for rows in (rs.num_queries, rs.num_passages))
    passages[rng.integers(0, len(passages), 200)] = passages[7]
    got, want = gold_ranks(rs, queries, passages), brute_ranks(rs, queries, passages)
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


@pytest.mark.parametrize("max_gold", [2, 12])
def test_queries_all_of_whose_answers_are_lost(max_gold):
    rng = np.random.default_rng(6)
    base = random_set(rng, 3, 40, 60, max_gold=max_gold)
    lost = np.array([0, 1, 2, 17, 39])
    kept = ~np.isin(base.gold_queries, lost)
    counts = np.where(np.isin(np.arange(40), lost), 0, np.diff(base.gold_offsets))
    rs = replace(
        base,
        gold_offsets=np.cumsum([0, *counts]),
        gold_passages=base.gold_passages[kept],
        lost_queries=lost,
        lost_grades=np.ones(5, dtype=np.int64),
    )
    queries, passages = tied_vectors(rng, 40), tied_vectors(rng, 60)
    got, want = gold_ranks(rs, queries, passages, tile_bytes=1), brute_ranks(rs, queries, passages)
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
    with pytest.raises(EvaluationError, match="can overflow; normalise"):
        gold_ranks(rs, queries * 1e20, passages * -1e20)
    passages[5, 0] = np.nan
    with pytest.raises(EvaluationError, match="passage_vectors row 5 holds NaN"):
        gold_ranks(rs, queries, passages)
