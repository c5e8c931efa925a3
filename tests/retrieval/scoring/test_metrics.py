"""All metrics against ir-measures (trec_eval) on complete and on cut-off rankings."""

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, R, nDCG

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.metrics import (
    average_precision,
    group_mean,
    nan_mean,
    ndcg,
    recall,
    reciprocal_rank,
)
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from tests.retrieval.conftest import brute_ranking, random_set, tied_vectors

TOLERANCE = 1e-9
NEVER = np.iinfo(np.int64).max
"""The rank of a document that a ranking does not reach."""


def reference(measures, relevant, rankings):
    """ir-measures' value of each measure on each topic; rankings are best first, so scores have no ties."""
    qrels = {str(t): {str(d): 1 for d in docs} for t, docs in enumerate(relevant)}
    run = {
        str(t): {str(d): float(len(docs) - place) for place, d in enumerate(docs)} for t, docs in enumerate(rankings)
    }
    values = {measure: np.full(len(relevant), np.nan) for measure in measures}
    for line in ir_measures.iter_calc(measures, qrels, run):
        values[line.measure][int(line.query_id)] = line.value
    return values


@pytest.mark.parametrize("depth", [30, 12])
def test_against_ir_measures_on_random_rankings(depth):
    rng = np.random.default_rng(depth)
    relevant = [rng.choice(30, rng.integers(1, 12), replace=False) for _ in range(200)]
    rankings = [rng.permutation(30)[:depth] for _ in relevant]
    topics, ranks, beyond = [], [], []
    for topic, (docs, ranking) in enumerate(zip(relevant, rankings, strict=True)):
        for place in np.flatnonzero(np.isin(ranking, docs)):
            topics.append(topic)
            ranks.append(int(place) + 1)
        beyond += [topic] * np.count_nonzero(~np.isin(docs, ranking))
    order = rng.permutation(len(ranks))  # pairs may come in any order
    ranks, topics, count = np.array(ranks)[order], np.array(topics)[order], len(relevant)
    sizes = np.array([len(docs) for docs in relevant])
    every = np.concatenate([ranks, np.full(len(beyond), NEVER)]), np.concatenate([topics, beyond]).astype(int), count
    got = {
        AP: average_precision(ranks, topics, count, sizes),
        RR: reciprocal_rank(*every, 30),
    }
    for k in (1, 3, 10):
        got[R @ k] = recall(ranks, topics, count, k, sizes)
        got[nDCG @ k] = ndcg(*every, k, np.ones(len(every[0]), dtype=int))
        got[RR @ k] = reciprocal_rank(*every, k)
        got[AP @ k] = average_precision(ranks[ranks <= k], topics[ranks <= k], count, sizes)
    for measure, values in reference(list(got), relevant, rankings).items():
        np.testing.assert_allclose(got[measure], values, rtol=0, atol=TOLERANCE, err_msg=str(measure))


def test_against_ir_measures_on_rankings_with_ties():
    rng = np.random.default_rng(7)
    rs = random_set(rng, 3, 80, 60)
    queries, passages = tied_vectors(rng, 80), tied_vectors(rng, 60)
    scores = queries @ passages.T
    rankings = [brute_ranking(row, np.arange(60)) for row in scores]
    relevant = np.split(rs.gold_passages, rs.gold_offsets[1:-1])
    pooled = gold_ranks(rs, queries, passages).pooled
    want = reference([AP, R @ 10, nDCG @ 10], relevant, rankings)
    for measure, got in (
        (AP, average_precision(pooled, rs.gold_queries, 80)),
        (R @ 10, recall(pooled, rs.gold_queries, 80, 10)),
        (nDCG @ 10, ndcg(pooled, rs.gold_queries, 80, 10, rs.grades)),
    ):
        np.testing.assert_allclose(got, want[measure], rtol=0, atol=TOLERANCE)


def test_average_precision_takes_pairs_in_any_order_and_of_any_integer_type():
    rng = np.random.default_rng(1)
    topics = np.repeat(np.arange(30), rng.integers(0, 9, 30))
    ranks = np.concatenate(
        [rng.choice(2**20, np.count_nonzero(topics == topic), replace=False) + 1 for topic in range(30)]
    )
    want = [
        np.mean((np.arange(len(own)) + 1) / np.sort(own)) if len(own := ranks[topics == topic]) else np.nan
        for topic in range(30)
    ]
    order = rng.permutation(len(ranks))
    for kind in (np.int64, np.int32):
        got = average_precision(ranks[order].astype(kind), topics[order].astype(kind), 30)
        np.testing.assert_allclose(got, want, rtol=1e-14)


def test_average_precision_of_a_rank_as_good_as_infinite():
    ranks, topics = np.array([NEVER, 2, 1]), np.array([1, 1, 0])
    np.testing.assert_allclose(average_precision(ranks, topics, 3), [1, 0.25, np.nan], rtol=1e-14)


def test_a_topic_without_relevant_documents_is_nan_and_one_without_hits_is_zero():
    ranks, topics = np.array([2, 1]), np.array([0, 0])
    relevant = np.array([2, 0, 3])
    every = np.array([2, 1, *[NEVER] * 3]), np.array([0, 0, 2, 2, 2]), 3
    for values in (
        average_precision(ranks, topics, 3, relevant),
        recall(ranks, topics, 3, 10, relevant),
        reciprocal_rank(*every, 10),
        ndcg(*every, 10, np.ones(5, dtype=int)),
    ):
        np.testing.assert_array_equal(values, [1.0, np.nan, 0.0])


def test_a_cutoff_below_one_is_refused():
    with pytest.raises(EvaluationError, match="k is 0"):
        recall(np.array([1]), np.array([0]), 1, 0)


def test_means_skip_nan():
    values, groups = np.array([1.0, np.nan, 3.0, np.nan]), np.array([0, 0, 0, 1])
    np.testing.assert_array_equal(group_mean(values, groups, 3), [2.0, np.nan, np.nan])
    assert nan_mean(values) == 2.0
    assert np.isnan(nan_mean(values[3:]))
