import numpy as np
import pytest

from hbt_ray.retrieval.scoring.bias import language_share, parallel_ranks, worst_lang, worst_pair
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from tests.retrieval.conftest import random_set


def two_query_set():
    """Passages en, en, de, fr; query 0 (en) is answered by all but row 1, query 1 (de) by rows 0 and 1."""
    return RetrievalSet(
        name="tiny",
        langs=("en", "de", "fr"),
        query_langs=np.array([0, 1]),
        query_keys=np.array([0, 1]),
        passage_langs=np.array([0, 0, 1, 2]),
        passage_ids=np.arange(4),
        gold_offsets=np.array([0, 3, 5]),
        gold_passages=np.array([0, 2, 3, 0, 1]),
    )


def test_rank_distance_needs_two_languages():
    got = parallel_ranks(two_query_set(), np.array([2, 4, 1, 1, 3]))
    np.testing.assert_array_equal(got.distance, [3, np.nan])
    np.testing.assert_array_equal(got.worst, [4, np.nan])


def test_rank_distance_by_hand_on_random_sets():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rs = random_set(rng, 3, 15, 30, max_gold=6)
        pooled = rng.integers(1, 1000, len(rs.gold_passages))
        got = parallel_ranks(rs, pooled)
        for query in range(rs.num_queries):
            best = {}
            for pair in np.flatnonzero(rs.gold_queries == query):
                lang = rs.gold_langs[pair]
                best[lang] = min(best.get(lang, 10**9), pooled[pair])
            want = max(best.values()) - min(best.values()) if len(best) > 1 else np.nan
            np.testing.assert_equal(got.distance[query], want)


def test_language_share():
    share = language_share(two_query_set(), np.array([[0, 1], [2, 1]]))
    np.testing.assert_allclose(share.found, [[1, 0, 0], [0.5, 0.5, 0], [np.nan] * 3])
    np.testing.assert_allclose(share.relevant, [[1 / 3] * 3, [1, 0, 0], [np.nan] * 3])
    np.testing.assert_allclose(share.excess, [(2 / 3 - 0.5) / 2, (-1 / 3 + 0.5) / 2, -1 / 6])


def test_worst():
    matrix = np.array([[0.1, 0.5], [0.4, np.nan]])
    assert worst_pair(matrix) == (1, 0)
    assert worst_lang(np.array([np.nan, 0.3, 0.3])) == 1
    assert worst_pair(np.array([[0.2]])) is None
    assert worst_lang(np.array([np.nan])) is None
    assert matrix[0, 0] == pytest.approx(0.1)  # the caller's matrix is left as it was
