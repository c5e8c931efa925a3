"""The headline numbers of `Scores` as means (or the lowest) of cell means, which resampling needs."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.stats.resample import Cells


def headline_cells(scores: Scores) -> dict[str, Cells]:
    """The cells of every number of VALUES."""
    per, num_langs = scores.per_query, len(scores.langs)
    keys, key = np.unique(per.keys, return_inverse=True)
    return {
        name: _cells(take(scores), key, len(keys), per.langs, num_langs)._replace(worst=name.startswith("worst_"))
        for name, take in VALUES.items()
    }


def traffic_cells(scores: Scores, traffic: Mapping[str, Mapping[str, float]]) -> Cells:
    """The cells of mAP over pairs of languages, weighted by `traffic`: query language -> passage language -> weight.

    Sums carry the weights, so that the mean over the C cells, as `Cells` takes it, is the weighted mean. Pairs that the
    set does not have are left out; without any there is no cell.
    """
    per, langs = scores.per_query, scores.langs
    keys, key = np.unique(per.keys, return_inverse=True)
    weights = np.array([[traffic.get(query, {}).get(passage, 0.0) for passage in langs] for query in langs])[per.langs]
    weights = np.where((weights > 0) & ~np.isnan(per.pair_ap), weights, np.nan)
    shape = (key, len(keys), per.langs, len(langs))
    cells, of_cells = _cells(per.pair_ap * weights, *shape), _cells(weights, *shape)
    mean = (of_cells.sums.sum(axis=0) / of_cells.counts.sum(axis=0)).mean() if of_cells.counts.size else 1.0
    return cells._replace(sums=cells.sums / mean)


def cells_by_lang(cells: dict[str, Cells]) -> NDArray[np.bool_]:
    """Whether question k adds to cell c, [K, C], of the cells that are of one query language each.

    Those are what a mean over languages needs. Pairs of languages are not among them: they are so many that almost
    every question of an irregular set would be a stratum of its own, of which nothing can be drawn.
    """
    kept = [cell.counts > 0 for name, cell in cells.items() if name not in OF_PAIRS]
    return np.concatenate(kept, axis=1)


def _same_lang(scores: Scores, values: FloatArray) -> FloatArray:
    return np.take_along_axis(values, scores.per_query.langs[:, None], axis=1)


def _other_langs(scores: Scores, values: FloatArray) -> FloatArray:
    return np.where(np.arange(values.shape[1]) == scores.per_query.langs[:, None], np.nan, values)


VALUES: dict[str, Callable[[Scores], FloatArray]] = {
    "mono_map": lambda scores: _same_lang(scores, scores.per_query.pair_ap),
    "cross_map": lambda scores: _other_langs(scores, scores.per_query.pair_ap),
    "pool_map": lambda scores: scores.per_query.pool_ap[:, None],
    "mono_r1": lambda scores: _same_lang(scores, scores.per_query.pair_r1),
    "cross_r1": lambda scores: _other_langs(scores, scores.per_query.pair_r1),
    "pool_r10": lambda scores: scores.per_query.pool_recall[:, None],
    "mono_ndcg10": lambda scores: scores.standard.mono_ndcg[:, None],
    "mono_r100": lambda scores: scores.standard.mono_recall[:, None],
    "pool_ndcg10": lambda scores: scores.standard.pool_ndcg[:, None],
    "rank_distance": lambda scores: scores.per_query.rank_distance[:, None],
    "worst_lang_map": lambda scores: scores.per_query.pool_ap[:, None],
    "worst_pair_map": lambda scores: _other_langs(scores, scores.per_query.pair_ap),
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
