"""What a point gains over another in each language, and in which languages that is more than chance."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray
from hbt_ray.retrieval.scoring.cells import headline_cells
from hbt_ray.stats.compare import NUM_FLIPS, Difference, correct, flipped_sums, percentiles
from hbt_ray.stats.crossed import mean_cells, seed_spread
from hbt_ray.stats.resample import Cells, question_weights, strata
from hbt_ray.study.points_on_set import Point, PointsOnSet

NUM_DRAWS = 2000

ByLang = Literal["pool_map", "mono_map"]
"""Numbers that are compared by language of the question."""
BY_LANG: tuple[ByLang, ...] = get_args(ByLang)


def lang_gains(
    on_set: PointsOnSet, point: Point, base: Point, metric: ByLang, *, seed: int = 0
) -> dict[str, Difference]:
    """Language -> `point` against `base`, means over their seeds, in every language that has questions.

    If the two were alike, exchanging them on any question would change nothing, so the gain is held against those
    after random exchanges on whole questions; a deviation for other seeds, drawn from Student's t, is added to each.
    Empty where a trial of either has no scores by question.
    """
    if not on_set.langs or not point.scored or not base.scored:
        return {}
    groups = [_by_lang(each, metric) for each in on_set.points if each.scored]
    has: NDArray[np.bool_] = np.asarray(~np.isnan(np.concatenate(groups)).any(axis=0))
    langs = [lang for lang, kept in zip(on_set.langs, has, strict=True) if kept]
    after, before = (_by_lang(each, metric)[:, has].mean(axis=0) for each in (point, base))
    gain = after - before
    cells = [_cells(each, metric) for each in on_set.points] if on_set.by_question else []
    spread = seed_spread(
        [group[:, has] for group in groups],
        [np.array([of_seed.sums / of_seed.counts.sum(axis=0) for of_seed in of_point]) for of_point in cells],
    )
    rng = np.random.default_rng((seed, 2))
    effective = 1 / sum(1 / each.num_seeds for each in (point, base) if each.trained)
    flips, drawn = (spread.noise(spread.scale(num, rng), effective, rng) for num in (NUM_FLIPS, NUM_DRAWS))
    if cells:
        new, old = (mean_cells(cells[on_set.points.index(each)])[0] for each in (point, base))
        flips += flipped_sums((new.sums - old.sums) / new.counts.sum(axis=0), rng)
        drawn += _redrawn(new, old, rng)
    known = on_set.by_question or spread.df > 0
    # Equal in exact arithmetic counts as a hit, though sums in another order differ in the last bits.
    hits = (np.abs(flips) >= np.abs(gain) - 1e-12).sum(axis=0)
    p_values = (hits + 1) / (NUM_FLIPS + 1) if known else np.full(len(langs), np.nan)
    if not on_set.by_question:
        drawn += gain
    rows = {}
    for at, lang in enumerate(langs):
        interval = percentiles(drawn[:, at]) if known else (np.nan, np.nan)
        rows[lang] = Difference.of(metric, before[at], after[at], interval, p_values[at])
    return correct(rows)


def _by_lang(point: Point, metric: ByLang) -> FloatArray:
    """By seed and language, [S, L]."""
    return np.array([each.pool_map if metric == "pool_map" else np.diagonal(each.map_matrix) for each in point.scored])


def _cells(point: Point, metric: ByLang) -> list[Cells]:
    """By question and language, of each seed."""
    return [headline_cells(scores)[metric] for scores in point.scored]


def _redrawn(a: Cells, b: Cells, rng: np.random.Generator) -> FloatArray:
    """Gains [NUM_DRAWS, L] with questions drawn again, of which every language has some."""
    stratum = strata(a.counts > 0)
    rows = [w @ (a.sums - b.sums) / (w @ a.counts) for w in question_weights(stratum, NUM_DRAWS, rng)]
    return np.concatenate(rows)
