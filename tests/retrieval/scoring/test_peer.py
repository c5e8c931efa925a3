import numpy as np
import pytest
from scipy import stats

from hbt_ray.retrieval.scoring.peer import kruskal_wallis, peer
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from tests.retrieval.conftest import random_set, tied_vectors


def scipy_test(values, groups):
    """scipy's test of the groups of one topic, or NaN where it tells nothing."""
    samples = [values[groups == group] for group in np.unique(groups)]
    if len(samples) < 2 or all(len(sample) == 1 for sample in samples):
        return np.nan, np.nan
    if len(np.unique(values)) == 1:
        return 0.0, 1.0
    return tuple(stats.kruskal(*samples))


@pytest.mark.parametrize("num_values", [5, 1000])  # many ties, and few
@pytest.mark.parametrize("seed", range(3))
def test_against_scipy(seed, num_values):
    rng = np.random.default_rng(seed)
    topics = rng.integers(0, 40, 400)
    topics = np.concatenate([topics[topics != 7], [3] * 5, [41, 42, 42, 42, 43, 43]])  # topic 7 is empty
    groups = rng.integers(0, 4, len(topics))
    values = rng.integers(1, num_values, len(topics))
    groups[-5:] = [0, 0, 1, 0, 1]
    values[-5:] = [9, 9, 9, 1, 2]
    got = kruskal_wallis(values, groups, topics, 45)
    for topic in range(45):
        own = topics == topic
        want = scipy_test(values[own], groups[own])
        np.testing.assert_allclose(
            (got.statistic[topic], got.p_value[topic]), want, rtol=1e-9, atol=1e-12, err_msg=str(topic)
        )
    assert np.isnan(got.p_value[[7, 41, 43]]).all()
    assert got.p_value[42] == 1.0


def test_peer_of_a_set():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        base = random_set(rng, 3, 40, 60, max_gold=12)
        grades = rng.integers(1, 3, len(base.gold_passages))
        rs = RetrievalSet(**{**vars(base), "gold_grades": grades})
        pooled = gold_ranks(rs, tied_vectors(rng, 40), tied_vectors(rng, 60)).pooled
        got = peer(rs, pooled)
        for query in range(rs.num_queries):
            values = []
            for grade in (1, 2):
                own = (rs.gold_queries == query) & (grades == grade)
                if own.any():
                    values.append(scipy_test(pooled[own], rs.gold_langs[own])[1])
            kept = [value for value in values if not np.isnan(value)]
            np.testing.assert_allclose(got[query], np.mean(kept) if kept else np.nan, rtol=1e-9)


def bias_set(num_queries=200):
    """Passages 0-4 English, 5-9 German, all relevant to every (English) query."""
    return RetrievalSet(
        name="bias",
        langs=("en", "de"),
        query_langs=np.zeros(num_queries, dtype=int),
        query_keys=np.arange(num_queries),
        passage_langs=np.repeat([0, 1], 5),
        passage_ids=np.arange(10),
        gold_offsets=np.arange(num_queries + 1) * 10,
        gold_passages=np.tile(np.arange(10), num_queries),
    )


def test_a_fair_ranking_is_near_a_half_and_a_biased_one_near_zero():
    rs, rng = bias_set(), np.random.default_rng(0)
    fair = np.concatenate([rng.permutation(10) + 1 for _ in range(rs.num_queries)])
    # p values of a true null hypothesis are uniform: their mean is 1/2.
    assert 0.45 < peer(rs, fair).mean() < 0.6
    biased = np.tile(np.arange(10) + 1, rs.num_queries)  # English on places 1 to 5
    assert peer(rs, biased).max() < 0.01


def test_scores_hold_it():
    rng = np.random.default_rng(3)
    rs = random_set(rng, 3, 50, 60, max_gold=12)
    vectors = rng.standard_normal((50, 8)), rng.standard_normal((60, 8))
    got, values = score(rs, *vectors), peer(rs, gold_ranks(rs, *vectors).pooled)
    np.testing.assert_array_equal(got.per_query.peer, values)
    for lang in range(3):
        own = values[rs.query_langs == lang]
        np.testing.assert_allclose(got.peer[lang], np.nanmean(own))
        assert got.num_without_peer[lang] == np.isnan(own).sum()
    assert got.to_json()["peer"] == pytest.approx(got.peer)
