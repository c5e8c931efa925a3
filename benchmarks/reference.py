"""The scores of a set as one would write them in plain NumPy: a full sort of every language pair and of the pool."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray, IntArray, VectorArray
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


class Reference(NamedTuple):
    """Per query, NaN where it has no answer."""

    pair_ap: FloatArray
    """Average precision among the passages of each language, [Nq, L]."""
    pair_r1: FloatArray
    """Recall at 1 among the passages of each language, [Nq, L]."""
    pool_ap: FloatArray
    """Average precision in the pool, [Nq]."""
    pool_recall: FloatArray
    """Recall among the first 10 of the pool, [Nq]."""
    rank_distance: FloatArray
    """Highest minus lowest rank of the answers in the pool, [Nq]; for sets with one answer a language."""


def reference_scores(rs: RetrievalSet, queries: VectorArray, passages: VectorArray) -> Reference:
    """`queries` [Nq, dim], `passages` [Nd, dim]; a query language at a time, so that its scores fit into memory."""
    pair_ap, pair_r1 = np.full((2, rs.num_queries, rs.num_langs), np.nan)
    pool_ap, pool_recall, distance = np.full((3, rs.num_queries), np.nan)
    for query_lang in range(rs.num_langs):
        rows = np.flatnonzero(rs.query_langs == query_lang)
        for lang in range(rs.num_langs):
            columns = np.flatnonzero(rs.passage_langs == lang)
            for row, ranks in zip(rows, _gold_ranks(rs, queries, passages, rows, columns), strict=True):
                if len(ranks):
                    pair_ap[row, lang] = _average_precision(ranks)
                    pair_r1[row, lang] = (ranks == 1).mean()
        ranked = _gold_ranks(rs, queries, passages, rows, np.arange(rs.num_passages))
        for row, ranks in zip(rows, ranked, strict=True):
            pool_ap[row] = _average_precision(ranks)
            pool_recall[row] = (ranks <= 10).mean()
            distance[row] = ranks[-1] - ranks[0]
    return Reference(pair_ap, pair_r1, pool_ap, pool_recall, distance)


def reference_headline(rs: RetrievalSet, scores: Reference) -> dict[str, float]:
    """The macro means of `Scores.headline`."""
    return {name: _macro_mean(values, rs.query_langs) for name, values in _parts(rs, scores).items()}


def reference_intervals(
    rs: RetrievalSet, scores: Reference, num_resamples: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95% percentile bootstrap intervals of the headline: questions drawn again, all means taken again."""
    rng = np.random.default_rng(seed)
    keys, key = np.unique(rs.query_keys, return_inverse=True)
    rows_of = [np.flatnonzero(key == number) for number in range(len(keys))]
    parts = _parts(rs, scores)
    drawn: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(num_resamples):
        rows = np.concatenate([rows_of[number] for number in rng.integers(0, len(keys), len(keys))])
        for name, values in parts.items():
            drawn[name].append(_macro_mean(values[rows], rs.query_langs[rows]))
    limits = {name: np.quantile(values, [0.025, 0.975]) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in limits.items()}


def _gold_ranks(
    rs: RetrievalSet, queries: VectorArray, passages: VectorArray, rows: IntArray, columns: IntArray
) -> list[IntArray]:
    """Ascending ranks of the answers of each of the queries `rows` among the passages `columns`."""
    order = np.argsort(-(queries[rows] @ passages[columns].T), axis=1)
    relevant = np.zeros((len(rows), rs.num_passages), dtype=bool)
    for number, row in enumerate(rows):
        relevant[number, rs.gold_passages[rs.gold_offsets[row] : rs.gold_offsets[row + 1]]] = True
    hits = np.take_along_axis(relevant[:, columns], order, axis=1)
    return [np.flatnonzero(hit) + 1 for hit in hits]


def _average_precision(ranks: IntArray) -> float:
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def _parts(rs: RetrievalSet, scores: Reference) -> dict[str, FloatArray]:
    """Values by query and column [Nq, n]; a headline number is the mean over languages and columns of their means."""
    same_lang: NDArray[np.bool_] = np.arange(rs.num_langs) == rs.query_langs[:, None]
    return {
        "mono_map": np.where(same_lang, scores.pair_ap, np.nan),
        "cross_map": np.where(same_lang, np.nan, scores.pair_ap),
        "pool_map": scores.pool_ap[:, None],
        "mono_r1": np.where(same_lang, scores.pair_r1, np.nan),
        "cross_r1": np.where(same_lang, np.nan, scores.pair_r1),
        "pool_r10": scores.pool_recall[:, None],
        "rank_distance": scores.rank_distance[:, None],
    }


def _macro_mean(values: FloatArray, langs: IntArray) -> float:
    cells = []
    for lang in np.unique(langs):
        of_lang = values[langs == lang]
        counts, total = (~np.isnan(of_lang)).sum(axis=0), np.nansum(of_lang, axis=0)
        cells.append(total[counts > 0] / counts[counts > 0])
    return float(np.concatenate(cells).mean())
