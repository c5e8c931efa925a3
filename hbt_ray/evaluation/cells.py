"""Headline numbers as means of cell means, from sums by question: what resampling of questions needs."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hbt_ray.evaluation.arrays import FloatArray, IntArray
from hbt_ray.evaluation.score import PerQuery, Scores


class Cells(NamedTuple):
    """One headline number taken apart; K questions, C cells (query languages, or ordered language pairs).

    The number is the mean over cells of `sums.sum(axis=0) / counts.sum(axis=0)`. Cells that no question
    fills are left out, as in `Scores.headline`.
    """

    sums: FloatArray
    """Sum of the values of question k that fall into cell c, [K, C]."""
    counts: FloatArray
    """How many values those are, [K, C]; the same for every model on one set."""


def headline_cells(scores: Scores) -> tuple[FloatArray, dict[str, Cells]]:
    """Question weights that give the scores themselves (ones, [K]), and the cells of every number of MACRO_MEANS."""
    per, num_langs = scores.per_query, len(scores.langs)
    keys, key = np.unique(per.keys, return_inverse=True)
    cells = {name: _cells(take(per), key, len(keys), per.langs, num_langs) for name, take in MACRO_MEANS.items()}
    return np.ones(len(keys)), cells


def macro_mean(weights: FloatArray, cells: Cells) -> FloatArray:
    """The number [R] when question k is taken `weights[r, k]` times, [R, K]; NaN if no cell has a value."""
    counts = weights @ cells.counts
    filled = counts > 0
    means = np.divide(weights @ cells.sums, counts, out=np.zeros_like(counts), where=filled)
    num_filled = filled.sum(axis=1)
    return np.where(num_filled > 0, means.sum(axis=1) / np.maximum(num_filled, 1), np.nan)


def _own(per: PerQuery, values: FloatArray) -> FloatArray:
    return np.take_along_axis(values, per.langs[:, None], axis=1)


def _others(per: PerQuery, values: FloatArray) -> FloatArray:
    return np.where(np.arange(values.shape[1]) == per.langs[:, None], np.nan, values)


MACRO_MEANS: dict[str, Callable[[PerQuery], FloatArray]] = {
    "mono_map": lambda per: _own(per, per.pair_ap),
    "cross_map": lambda per: _others(per, per.pair_ap),
    "multi_map": lambda per: per.multi_ap[:, None],
    "mono_r1": lambda per: _own(per, per.pair_r1),
    "cross_r1": lambda per: _others(per, per.pair_r1),
    "multi_r10": lambda per: per.multi_recall[:, None],
    "rank_distance": lambda per: per.rank_distance[:, None],
}
"""Headline number -> its values by query and column, [Nq, n]; a cell is a query language and a column."""


def _cells(values: FloatArray, key: IntArray, num_keys: int, langs: IntArray, num_langs: int) -> Cells:
    width = num_langs * values.shape[1]
    place = key[:, None] * width + langs[:, None] * values.shape[1] + np.arange(values.shape[1])
    kept = ~np.isnan(values)
    shape = (num_keys, width)
    counts = np.bincount(place[kept], minlength=num_keys * width).reshape(shape)
    used = counts.any(axis=0)
    sums = np.bincount(place[kept], values[kept], minlength=num_keys * width).reshape(shape)
    return Cells(sums[:, used], counts[:, used].astype(np.float64))
