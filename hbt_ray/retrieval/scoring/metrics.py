"""Ranking metrics with binary relevance, from the ranks of the relevant documents alone.

Each takes ranks [n] (1-based, unique inside a topic) and the topic each belongs to [n], in [0, num_topics);
a topic is a query, or a query and a corpus. The result is float64 [num_topics], NaN where a topic has nothing
relevant. A relevant document that no ranking can reach has a rank as good as infinite, or is counted by `num_relevant`
[num_topics] alone. All agree with trec_eval.
"""

import numpy as np

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.errors import EvaluationError


def average_precision(
    ranks: IntArray, topics: IntArray, num_topics: int, num_relevant: IntArray | None = None
) -> FloatArray:
    """Mean, over the relevant documents, of the precision at the rank of each (0 if it is not found)."""
    ranks, topics = _by_rank(ranks, topics, num_topics)
    counts = np.bincount(topics, minlength=num_topics)
    relevant_above = np.arange(1, len(ranks) + 1) - (np.cumsum(counts) - counts)[topics]
    return _per_relevant(relevant_above / ranks, topics, num_topics, num_relevant)


def reciprocal_rank(ranks: IntArray, topics: IntArray, num_topics: int, k: int) -> FloatArray:
    """One over the rank of the first relevant document, 0 where none is among the first k."""
    seen = ranks <= _cutoff(k)
    best = np.zeros(num_topics)
    np.maximum.at(best, topics[seen], 1.0 / ranks[seen])
    return np.where(np.bincount(topics, minlength=num_topics) > 0, best, np.nan)


def recall(
    ranks: IntArray, topics: IntArray, num_topics: int, k: int, num_relevant: IntArray | None = None
) -> FloatArray:
    """Share of the relevant documents among the first k; with one relevant document, success at k.

    Its ceiling is k over the number of relevant documents: R@10 with 11 parallel answers is 10/11 at best.
    """
    return _per_relevant((ranks <= _cutoff(k)).astype(np.float64), topics, num_topics, num_relevant)


def ndcg(ranks: IntArray, topics: IntArray, num_topics: int, k: int, gains: IntArray) -> FloatArray:
    """Discounted gain of the first k, sum of gain / log2(rank + 1), over that of the best ranking possible.

    Jaervelin and Kekaelaeinen, 2002, with `gains` [n] (the grades), as in trec_eval's ndcg_cut.
    """
    seen = ranks <= _cutoff(k)
    gain = np.bincount(topics[seen], gains[seen] / np.log2(ranks[seen] + 1.0), minlength=num_topics)
    order = np.lexsort((-gains, topics))
    counts = np.bincount(topics, minlength=num_topics)
    place = np.arange(1, len(order) + 1) - (np.cumsum(counts) - counts)[topics[order]]
    first = order[place <= k]
    ideal = np.bincount(topics[first], gains[first] / np.log2(place[place <= k] + 1.0), minlength=num_topics)
    return np.where(counts > 0, gain / np.where(ideal > 0, ideal, 1.0), np.nan)


def nan_mean(values: FloatArray) -> float:
    """Mean of the values that are not NaN; NaN, without a warning, if there are none."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")


def group_mean(values: FloatArray, groups: IntArray, num_groups: int) -> FloatArray:
    """Mean of the values [n] that are not NaN in each group, [num_groups]; NaN for a group without any."""
    kept = ~np.isnan(values)
    counts = np.bincount(groups[kept], minlength=num_groups)
    total = np.bincount(groups[kept], values[kept], minlength=num_groups)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _by_rank(ranks: IntArray, topics: IntArray, num_topics: int) -> tuple[IntArray, IntArray]:
    """Both in the order of topics, and inside a topic of ranks."""
    span = int(ranks.max(initial=0)) + 1
    if span * num_topics < 2**63:  # one key a pair sorts many times as fast as two
        keys = np.sort(topics * np.int64(span) + ranks)
        topics = keys // span
        return keys - topics * span, topics
    order = np.lexsort((ranks, topics))  # a rank as good as infinite
    return ranks[order], topics[order]


def _cutoff(k: int) -> int:
    if k < 1:
        raise EvaluationError(f"k is {k}, but a cut-off must be 1 or more; set it to 10, for instance.")
    return k


def _per_relevant(values: FloatArray, topics: IntArray, num_topics: int, num_relevant: IntArray | None) -> FloatArray:
    counts = np.bincount(topics, minlength=num_topics) if num_relevant is None else num_relevant
    total = np.bincount(topics, values, minlength=num_topics)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
