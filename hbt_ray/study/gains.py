"""What a point gains over another in each language, and in which languages that is more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.retrieval.scoring.cells import Cells, headline_cells
from hbt_ray.retrieval.scoring.significance import holm
from hbt_ray.stats.resample import blocks, question_weights, strata
from hbt_ray.study.decision import Verdict, verdict_of
from hbt_ray.study.point_scores import Point, PointsOnSet
from hbt_ray.study.resampling import mean_cells, percentiles, seed_spread

NUM_FLIPS = 10_000
"""Random exchanges; with Holm's correction over 200 languages, p can still fall below 0.05."""
NUM_DRAWS = 2000

Kind = Literal["pool", "mono"]
METRIC: dict[Kind, str] = {"pool": "pool_map", "mono": "mono_map"}


@dataclass(frozen=True, kw_only=True)
class LangGain:
    """mAP of one language of the question under two points, means over their seeds."""

    lang: str
    base: float
    value: float
    gain: float
    low: float
    high: float
    """95% interval over questions and seeds; NaN where neither is known."""
    p_holm: float
    """Paired permutation test over questions, with the spread between seeds added; corrected over languages."""
    verdict: Verdict


def lang_gains(on_set: PointsOnSet, point: Point, base: Point, kind: Kind, *, seed: int = 0) -> list[LangGain]:
    """`point` less `base` in every language that has questions, in the pool ("pool") or inside the language ("mono").

    If the two were alike, exchanging them on any question would change nothing, so the gain is held against those
    after random exchanges on whole questions; a deviation for other seeds, drawn from Student's t, is added to each.
    Empty where a trial of either has no scores by language.
    """
    if not on_set.langs or not point.scored or not base.scored:
        return []
    groups = [np.array([getattr(found, kind) for found in each.scored]) for each in on_set.points if each.scored]
    has = ~np.isnan(np.concatenate(groups)).any(axis=0)
    langs = [lang for lang, kept in zip(on_set.langs, has, strict=True) if kept]
    after, before = (np.array([getattr(found, kind) for found in each.scored])[:, has] for each in (point, base))
    gain = after.mean(axis=0) - before.mean(axis=0)
    cells = [_cells(each, kind) for each in on_set.points] if on_set.by_question else []
    spread = seed_spread(
        [group[:, has] for group in groups],
        [np.array([found.sums / found.counts.sum(axis=0) for found in of_point]) for of_point in cells],
    )
    rng = np.random.default_rng((seed, 2))
    effective = 1 / sum(1 / each.num_seeds for each in (point, base) if each.trained)
    flips, drawn = (spread.noise(spread.scale(num, rng), effective, rng) for num in (NUM_FLIPS, NUM_DRAWS))
    if cells:
        new, old = (mean_cells(cells[on_set.points.index(each)])[0] for each in (point, base))
        flips += _flipped((new.sums - old.sums) / new.counts.sum(axis=0), rng)
        drawn += _redrawn(new, old, rng)
    known = on_set.by_question or spread.df > 0
    # Equal in exact arithmetic counts as a hit, though sums in another order differ in the last bits.
    hits = (np.abs(flips) >= np.abs(gain) - 1e-12).sum(axis=0)
    p_values = (hits + 1) / (NUM_FLIPS + 1) if known else np.full(len(langs), np.nan)
    if not on_set.by_question:
        drawn += gain
    rows = []
    for at, (lang, p_holm) in enumerate(zip(langs, holm(p_values), strict=True)):
        low, high = percentiles(drawn[:, at]) if known else (np.nan, np.nan)
        rows.append(
            LangGain(
                lang=lang,
                base=float(before[:, at].mean()),
                value=float(after[:, at].mean()),
                gain=float(gain[at]),
                low=low,
                high=high,
                p_holm=float(p_holm),
                verdict=verdict_of(float(p_holm)),
            )
        )
    return rows


def _cells(point: Point, kind: Kind) -> list[Cells]:
    """By question and language, of each seed."""
    return [headline_cells(each.scores)[1][METRIC[kind]] for each in point.scored if each.scores is not None]


def _flipped(parts: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Sums [NUM_FLIPS, L] of what each question adds, [K, L], under random signs of the questions."""
    out = np.empty((NUM_FLIPS, parts.shape[1]))
    start = 0
    for size in blocks(NUM_FLIPS, len(parts)):
        out[start : start + size] = (1.0 - 2.0 * rng.integers(0, 2, (size, len(parts)), dtype=np.int8)) @ parts
        start += size
    return out


def _redrawn(a: Cells, b: Cells, rng: np.random.Generator) -> FloatArray:
    """Gains [NUM_DRAWS, L] with questions drawn again, of which every language has some."""
    stratum = strata(a.counts > 0)
    rows = [w @ (a.sums - b.sums) / (w @ a.counts) for w in question_weights(stratum, NUM_DRAWS, rng)]
    return np.concatenate(rows)
