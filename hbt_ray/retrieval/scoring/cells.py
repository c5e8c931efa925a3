"""Headline numbers as means (or the lowest) of cell means, from sums by question: what resampling needs."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.retrieval.scoring.score import Scores


class Cells(NamedTuple):
    """One headline number taken apart; K questions, C cells (query languages, or ordered language pairs).

    The number is the mean over cells of `sums.sum(axis=0) / counts.sum(axis=0)`, or the lowest of them where
    `worst`. Cells that no question fills are left out, as in `Scores.headline`.
    """

    sums: FloatArray
    """Sum of the values of question k that fall into cell c, [K, C]."""
    counts: FloatArray
    """How many values those are, [K, C]; the same for every model on one set."""
    worst: bool = False
    """Whether the number is the lowest cell instead of the mean."""


def headline_cells(scores: Scores) -> tuple[FloatArray, dict[str, Cells]]:
    """Question weights that give the scores themselves (ones, [K]), and the cells of every number of VALUES."""
    per, num_langs = scores.per_query, len(scores.langs)
    keys, key = np.unique(per.keys, return_inverse=True)
    cells = {
        name: _cells(take(scores), key, len(keys), per.langs, num_langs)._replace(worst=name.startswith("worst_"))
        for name, take in VALUES.items()
    }
    return np.ones(len(keys)), cells


def cells_by_lang(cells: dict[str, Cells]) -> NDArray[np.bool_]:
    """Whether question k adds to cell c, [K, C], of the cells that are of one query language each.

    Those are what a mean over languages needs. Pairs of languages are not among them: they are so many that almost
    every question of an irregular set would be a stratum of its own, of which nothing can be drawn.
    """
    kept = [cell.counts > 0 for name, cell in cells.items() if name not in OF_PAIRS]
    return np.concatenate(kept, axis=1)


def headline_number(weights: FloatArray, cells: Cells) -> FloatArray:
    """The number [R] when question k is taken `weights[r, k]` times, [R, K]; NaN if no cell has a value."""
    return reduce_cells(weights @ cells.sums, weights @ cells.counts, cells.worst)


def reduce_cells(sums: FloatArray, counts: FloatArray, worst: bool) -> FloatArray:
    """The number [R] from the sum and the number of values in each cell, both [R, C]."""
    filled = counts > 0
    num_filled = filled.sum(axis=1)
    means = np.divide(sums, counts, out=np.full_like(sums, np.inf if worst else 0.0), where=filled)
    number = means.min(axis=1, initial=np.inf) if worst else means.sum(axis=1) / np.maximum(num_filled, 1)
    return np.where(num_filled > 0, number, np.nan)


def _own(scores: Scores, values: FloatArray) -> FloatArray:
    return np.take_along_axis(values, scores.per_query.langs[:, None], axis=1)


def _others(scores: Scores, values: FloatArray) -> FloatArray:
    return np.where(np.arange(values.shape[1]) == scores.per_query.langs[:, None], np.nan, values)


VALUES: dict[str, Callable[[Scores], FloatArray]] = {
    "mono_map": lambda scores: _own(scores, scores.per_query.pair_ap),
    "cross_map": lambda scores: _others(scores, scores.per_query.pair_ap),
    "pool_map": lambda scores: scores.per_query.pool_ap[:, None],
    "mono_r1": lambda scores: _own(scores, scores.per_query.pair_r1),
    "cross_r1": lambda scores: _others(scores, scores.per_query.pair_r1),
    "pool_r10": lambda scores: scores.per_query.pool_recall[:, None],
    "mono_ndcg10": lambda scores: scores.standard.mono_ndcg[:, None],
    "mono_r100": lambda scores: scores.standard.mono_recall[:, None],
    "pool_ndcg10": lambda scores: scores.standard.pool_ndcg[:, None],
    "rank_distance": lambda scores: scores.per_query.rank_distance[:, None],
    "worst_lang_map": lambda scores: scores.per_query.pool_ap[:, None],
    "worst_pair_map": lambda scores: _others(scores, scores.per_query.pair_ap),
}
"""Headline number -> its values by query and column, [Nq, n]; a cell is a query language and a column."""
OF_PAIRS = frozenset({"cross_map", "cross_r1", "worst_pair_map"})
"""Numbers whose cells are ordered pairs of languages; the others have one a query language."""


def _cells(values: FloatArray, key: IntArray, num_keys: int, langs: IntArray, num_langs: int) -> Cells:
    width = num_langs * values.shape[1]
    place = key[:, None] * width + langs[:, None] * values.shape[1] + np.arange(values.shape[1])
    kept = ~np.isnan(values)
    shape = (num_keys, width)
    counts = np.bincount(place[kept], minlength=num_keys * width).reshape(shape)
    used = counts.any(axis=0)
    sums = np.bincount(place[kept], values[kept], minlength=num_keys * width).reshape(shape)
    return Cells(sums[:, used], counts[:, used].astype(np.float64))
