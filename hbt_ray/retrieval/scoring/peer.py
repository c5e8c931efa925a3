"""PEER: do relevant passages of different languages stand at equal expected ranks? (arXiv 2405.00978)"""

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc  # type: ignore[import-untyped]

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


class Kruskal(NamedTuple):
    """Kruskal-Wallis tests, one a topic [T]; NaN where a topic cannot be tested."""

    statistic: FloatArray
    """H with the correction for ties."""
    p_value: FloatArray
    """Upper tail of chi square with one degree of freedom less than there are groups."""


def kruskal_wallis(values: IntArray, groups: IntArray, topics: IntArray, num_topics: int) -> Kruskal:
    """Do the groups of each topic have equal ranks? `values`, `groups` and `topics` are [n].

    As `scipy.stats.kruskal`, for all topics at once. A topic is tested if it has two groups or more and one of
    them has two values or more: with one value a group H is always n - 1, whatever the order. Where all
    values are tied nothing speaks against equality, so p is 1.
    """
    num_labels = int(groups.max(initial=0)) + 1
    size = np.bincount(topics * num_labels + groups, minlength=num_topics * num_labels).reshape(num_topics, num_labels)
    count, num_groups = size.sum(axis=1), (size > 0).sum(axis=1)
    tested = (num_groups > 1) & (count > num_groups)
    # The rest is for the pairs of these topics alone: of sets with one answer a language there are none.
    kept = tested[topics]
    topic = (np.cumsum(tested) - 1)[topics[kept]]
    size, count, num_groups = size[tested], count[tested], num_groups[tested]
    midrank, mean = _midranks(values[kept], topic), (count + 1) / 2
    total = np.bincount(topic * num_labels + groups[kept], midrank, minlength=size.size).reshape(size.shape)
    between = (size * (total / np.maximum(size, 1) - mean[:, None]) ** 2).sum(axis=1)
    spread = np.bincount(topic, (midrank - mean[topic]) ** 2, minlength=len(mean))
    tied = spread == 0
    statistic, p_value = np.full((2, num_topics), np.nan)
    statistic[tested] = np.where(tied, 0.0, (count - 1) * between / np.where(tied, 1.0, spread))
    p_value[tested] = chdtrc(num_groups - 1, statistic[tested])
    return Kruskal(statistic, p_value)


def peer(retrieval_set: RetrievalSet, pooled_ranks: IntArray) -> FloatArray:
    """PEER of every query [Nq], from the ranks [G] of its relevant passages in the pool of all languages.

    For each grade of relevance, a Kruskal-Wallis test of the null hypothesis that the ranks of the passages of
    that grade do not depend on their language; the query's value is the mean p value over its grades, from 0
    (some language is preferred) to 1 (none is). Means over queries, then languages, as for rank distance.

    What is counted: judged relevant passages alone, ranked among themselves. Passages that are judged not
    relevant, or not judged, are not tested; since the test reads only the order of what it tests, they do not
    move it either.

    Where this differs from the authors' package peer_measure, which takes H over the places in the list, without
    ranking them again, and gives a query with relevant passages in one language 1: this is the test as
    Kruskal and Wallis define it, grades that a query has weigh equally, and a query (or grade) that cannot
    tell languages apart is NaN: one with a single language, or with one relevant passage in each language.
    On sets of single parallel answers, such as XQuAD-R, that is every query: use the rank distance there.
    """
    rs = retrieval_set
    grades, grade = np.unique(rs.grades, return_inverse=True)
    p_value = kruskal_wallis(
        pooled_ranks, rs.gold_langs, rs.gold_queries * len(grades) + grade, rs.num_queries * len(grades)
    ).p_value.reshape(rs.num_queries, len(grades))
    tested = (~np.isnan(p_value)).sum(axis=1)
    return np.where(tested > 0, np.nansum(p_value, axis=1) / np.maximum(tested, 1), np.nan)


def _midranks(values: IntArray, topics: IntArray) -> FloatArray:
    """Rank of each value inside its topic, from 1; equal values share the mean of their ranks."""
    order = np.lexsort((values, topics))
    topic, value = topics[order], values[order]
    first = np.concatenate(([True], (topic[1:] != topic[:-1]) | (value[1:] != value[:-1])))[: len(order)]
    run = np.cumsum(first) - 1
    start = np.flatnonzero(first)
    length = np.diff(np.append(start, len(order)))
    opening = np.searchsorted(topic, topic)  # where each topic begins
    ranks = np.empty(len(order))
    ranks[order] = (start + (length + 1) / 2)[run] - opening
    return ranks
