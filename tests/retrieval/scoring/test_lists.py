"""Ranks from lists, against the ranks of all passages."""

import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.lists import listed_ranks
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from hbt_ray.retrieval.scoring.score import score, score_ranks
from hbt_ray.retrieval.scoring.search import search
from tests.retrieval.conftest import random_set


def exactly(_, queries, passages, k):
    return search(queries, passages, k)


@pytest.fixture(params=range(4))
def case(request):
    """A set with vectors whose inner products are whole numbers, so that there are many ties."""
    rng = np.random.default_rng(request.param)
    rs = random_set(rng, 3, 40, 70, max_gold=5)
    return rs, *(rng.integers(-2, 3, (n, 4)).astype(np.float32) for n in (40, 70))


def test_lists_of_everything_give_the_ranks_of_everything(case):
    rs, queries, passages = case
    listed = listed_ranks(rs, queries, passages, 70, exactly)
    want = gold_ranks(rs, queries, passages)
    np.testing.assert_array_equal(listed.ranks.pooled, want.pooled)
    np.testing.assert_array_equal(listed.ranks.within, want.within)
    np.testing.assert_array_equal(listed.top_ids, search(queries, passages, 70).ids)


def test_short_lists_are_right_up_to_their_end_and_put_the_rest_last(case):
    rs, queries, passages = case
    depth = 12
    listed = listed_ranks(rs, queries, passages, depth, exactly)
    sizes = np.bincount(rs.passage_langs, minlength=rs.num_langs)
    exact = gold_ranks(rs, queries, passages)
    for got, want, last, topic in (
        (listed.ranks.pooled, exact.pooled, np.full(len(rs.gold_passages), rs.num_passages), rs.gold_queries),
        (listed.ranks.within, exact.within, sizes[rs.gold_langs], rs.gold_queries * rs.num_langs + rs.gold_langs),
    ):
        inside = want <= depth
        np.testing.assert_array_equal(got[inside], want[inside])
        assert (got[~inside] > depth).all()
        assert (got <= last).all()
        # the relevant passages of a query share out the last places among them, so one by one they may swap
        assert (got[np.lexsort((got, topic))] >= want[np.lexsort((want, topic))]).all()
    for query in range(rs.num_queries):  # no two relevant passages share a place
        own = listed.ranks.pooled[rs.gold_offsets[query] : rs.gold_offsets[query + 1]]
        assert len(set(own)) == len(own)
    cut, full = score_ranks(rs, listed.ranks, listed.top_ids[:, :10]), score(rs, queries, passages)
    assert cut.headline()["mono_ndcg10"] == pytest.approx(full.headline()["mono_ndcg10"], abs=1e-12)
    assert cut.headline()["pool_r10"] == pytest.approx(full.headline()["pool_r10"], abs=1e-12)
    assert cut.headline()["pool_map"] <= full.headline()["pool_map"]
    np.testing.assert_array_equal(cut.share.found, full.share.found)


def test_a_passage_of_several_texts_is_found_by_its_best(case):
    from dataclasses import replace

    rs, queries, _ = case
    rng = np.random.default_rng(9)
    parts = np.sort(np.concatenate([np.arange(70), rng.integers(0, 70, 60)]))
    # of one passage nearly the same, in steps of 1/1024: inner products are exact in float32
    texts = (rng.integers(-2, 3, (len(parts), 4)) + rng.integers(-3, 4, (len(parts), 4)) / 1024).astype(np.float32)
    windowed = replace(rs, text_passages=parts)
    listed = listed_ranks(windowed, queries, texts, len(parts), exactly)
    want = gold_ranks(windowed, queries, texts)
    np.testing.assert_array_equal(listed.ranks.pooled, want.pooled)
    np.testing.assert_array_equal(listed.ranks.within, want.within)


def test_no_lists(case):
    with pytest.raises(EvaluationError, match="depth of the lists is 0"):
        listed_ranks(*case, 0, exactly)


def test_lists_of_windows_hold_as_many_passages_as_were_asked_for():
    """40 windows a document: the first windows of a list are those of few documents."""
    from dataclasses import replace

    rng = np.random.default_rng(4)
    rs = random_set(rng, 2, 10, 30, max_gold=3)
    documents = rng.standard_normal((30, 6))
    parts = np.repeat(np.arange(30), 40)
    texts = (documents[parts] + 0.01 * rng.standard_normal((len(parts), 6))).astype(np.float32)
    queries = rng.standard_normal((10, 6)).astype(np.float32)
    windowed = replace(rs, text_passages=parts)
    listed = listed_ranks(windowed, queries, texts, 12, exactly)
    assert (listed.top_ids[:, :12] >= 0).all()
    want = gold_ranks(windowed, queries, texts)
    for got, exact in ((listed.ranks.pooled, want.pooled), (listed.ranks.within, want.within)):
        np.testing.assert_array_equal(got[exact <= 12], exact[exact <= 12])
