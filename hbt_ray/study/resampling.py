"""What the numbers of a study could have been with other questions and other seeds of training.

Seeds and questions are crossed: every seed of every point answers the same questions. So a draw takes one sample of
the questions (with replacement, the parallel forms of a question together, so that no language is left without any)
for all trials, and adds to each point a deviation for its seeds. Few seeds cannot be resampled honestly (of three, a
ninth of the draws are one seed three times, and the variance of their mean comes out a third too small), so the
deviation is drawn from Student's t, with the spread between seeds that was observed, pooled over the points as in an
analysis of variance.

A part of that spread is what single questions make of a seed. Drawing questions already brings it in, so it is taken
off the deviation (see `interaction_variance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit  # type: ignore[import-untyped]

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.retrieval.scoring.cells import Cells, cells_by_lang, headline_cells, headline_number
from hbt_ray.stats.resample import question_weights, strata
from hbt_ray.study.point_scores import PointsOnSet, point_cells

NUM_DRAWS = 4000
CONFIDENCE = 0.95
FEW = 10
"""Draws beyond zero that are too few to count."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedSpread:
    """How far seeds of one point lie apart, pooled over the points; `df` 0: no point has two seeds."""

    residuals: FloatArray
    """Numbers of every trial less the mean of its point, [N, M]."""
    df: int
    interaction: FloatArray
    """The part of the variance between seeds that comes from single questions, [M]; zeros without questions."""

    @property
    def sd(self) -> FloatArray:
        """Standard deviation between seeds, [M]; NaN where unknown."""
        if not self.df:
            return np.full(self.residuals.shape[1], np.nan)
        found: FloatArray = np.sqrt((self.residuals**2).sum(axis=0) / self.df)
        return found

    def scale(self, num_draws: int, rng: np.random.Generator) -> FloatArray:
        """How far off the pooled spread may be, [num_draws, 1]: one draw for all points, as they share it."""
        if not self.df:
            return np.ones((num_draws, 1))
        found: FloatArray = np.sqrt(rng.chisquare(self.df, (num_draws, 1)) / self.df)
        return found

    def noise(self, scale: FloatArray, num_seeds: float, rng: np.random.Generator) -> FloatArray:
        """Deviations [R, M] of a mean over `num_seeds` seeds, less the interaction: zeros where unknown.

        Multivariate t, with a `scale` [R, 1] of `SeedSpread.scale`: sums of the residuals with normal weights have
        their covariance, so that numbers which rise and fall together over the seeds do so in the draws.
        """
        if not self.df:
            return np.zeros((len(scale), self.residuals.shape[1]))
        normal = rng.standard_normal((len(scale), len(self.residuals))) @ self.residuals / np.sqrt(self.df)
        variance = self.sd**2
        share = np.divide(self.interaction, variance, out=np.zeros_like(variance), where=variance > 0)
        found: FloatArray = normal / scale * np.sqrt(np.maximum(1 - share, 0) / num_seeds)
        return found


def seed_spread(groups: Sequence[FloatArray], by_question: Sequence[FloatArray] = ()) -> SeedSpread:
    """From the numbers [S, M] of each point, and what each question adds to them, [S, K, M], where that is known.

    A point whose seeds agree in all was not trained, and tells nothing.
    """
    told = [at for at, group in enumerate(groups) if len(group) > 1 and np.ptp(group, axis=0).any()]
    df = sum(len(groups[at]) - 1 for at in told)
    num = groups[0].shape[1]
    residuals = [groups[at] - groups[at].mean(axis=0) for at in told]
    known = [by_question[at] for at in told] if by_question else []
    return SeedSpread(
        residuals=np.concatenate([np.zeros((0, num)), *residuals]),
        df=df,
        interaction=interaction_variance(known) if known else np.zeros(num),
    )


def interaction_variance(by_question: Sequence[FloatArray]) -> FloatArray:
    """Variance of a number [M] between seeds that comes from what each seed makes of each question.

    Of the parts [S, K, M] of each point, whose sums over questions are its numbers, the mean over seeds of each
    question and the mean over questions of each seed are taken off, as in a two-way analysis of variance; what is
    left, squared and summed over the K questions, is the variance.
    """
    total, df = np.zeros(by_question[0].shape[2]), 0
    for parts in by_question:
        num_seeds, num_questions = parts.shape[:2]
        left = parts - parts.mean(axis=0)
        left = left - left.mean(axis=1, keepdims=True)
        total += (left**2).sum(axis=(0, 1)) * num_questions / (num_questions - 1)
        df += num_seeds - 1
    found: FloatArray = total / df
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Numbers of P points as they could have been, [P, R, M] each."""

    questions: FloatArray
    """With other questions; the numbers as they are, where they are not known by question."""
    seeds: FloatArray
    """What other seeds would add; zeros where no point has two."""
    known: bool
    """Whether there is anything to draw: questions, or seeds."""
    spread: SeedSpread
    """Between seeds of one point."""

    @property
    def total(self) -> FloatArray:
        """With other questions and other seeds."""
        return self.questions + self.seeds

    def interval(self, values: FloatArray) -> tuple[float, float]:
        """Percentile interval of drawn values [R]; NaN where nothing could be drawn."""
        return percentiles(values) if self.known else (np.nan, np.nan)

    def p_value(self, values: FloatArray) -> float:
        """Of drawn differences [R], two-sided; NaN where nothing could be drawn."""
        return two_sided(values, self.spread.df) if self.known else float("nan")


def draw(on_set: PointsOnSet, *, num_draws: int = NUM_DRAWS, seed: int = 0) -> Draws:
    """Draw all points of a set, the same questions for all of them; a function of the scores and `seed`."""
    cells = [point_cells(point, on_set.metrics) for point in on_set.points] if on_set.by_question else []
    scores = on_set.points[0].scored[0].scores if cells else None
    stratum = None if scores is None else strata(cells_by_lang(headline_cells(scores)[1]))
    trained = [point.trained for point in on_set.points]
    numbers = [point.numbers for point in on_set.points]
    return draw_numbers(numbers, cells, trained, stratum=stratum, num_draws=num_draws, seed=seed)


def draw_numbers(
    numbers: Sequence[FloatArray],
    cells: Sequence[list[list[Cells]]],
    trained: Sequence[bool] = (),
    *,
    stratum: IntArray | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Draws:
    """`draw` from the numbers [S, M] of each point, and its cells of each number and seed; none: not by question.

    Points that are not `trained` (empty: all are) have no other seeds to differ by. Questions are drawn within the
    `stratum` of each, [K] (`evaluation.resample`); None: they are one.
    """
    questions = np.repeat(np.array([group.mean(axis=0) for group in numbers])[:, None], num_draws, axis=1)
    if cells:
        stratum = np.zeros(len(cells[0][0][0].sums), np.int64) if stratum is None else stratum
        merged = [[mean_cells(of_metric) for of_metric in of_point] for of_point in cells]
        start = 0
        for weights in question_weights(stratum, num_draws, np.random.default_rng((seed, 0))):
            rows = slice(start, start + len(weights))
            for at, of_point in enumerate(merged):
                for column, of_metric in enumerate(of_point):
                    drawn = [headline_number(weights, found) for found in of_metric]
                    questions[at, rows, column] = np.mean(drawn, axis=0)
            start += len(weights)
    parts = [np.stack([[question_parts(c) for c in of_metric] for of_metric in found], axis=-1) for found in cells]
    spread = seed_spread(numbers, parts)
    rng = np.random.default_rng((seed, 1))
    scale = spread.scale(num_draws, rng)
    seeds = np.array([spread.noise(scale, len(group), rng) for group in numbers])
    seeds[[at for at, has_seeds in enumerate(trained) if not has_seeds]] = 0
    return Draws(questions=questions, seeds=seeds, known=bool(cells) or spread.df > 0, spread=spread)


def mean_cells(cells: Sequence[Cells]) -> list[Cells]:
    """Cells whose numbers' mean is the mean over the seeds: one where the number is a mean itself, else one a seed."""
    if cells[0].worst:
        return list(cells)
    return [cells[0]._replace(sums=np.mean([found.sums for found in cells], axis=0))]


def question_parts(cells: Cells) -> FloatArray:
    """What each question adds to a number that is a mean, [K]; zeros for a lowest cell, which is no sum."""
    if cells.worst:
        return np.zeros(len(cells.sums))
    found: FloatArray = (cells.sums / cells.counts.sum(axis=0)).mean(axis=1)
    return found


def percentiles(values: FloatArray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval that leaves out the same share of `values` [R] at either end; NaN are left out."""
    kept = values[~np.isnan(values)]
    if not kept.size:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def two_sided(values: FloatArray, df: int = 0) -> float:
    """p value of drawn differences [R]: twice the smaller share at or beyond zero, below 0.05 where the interval
    leaves out zero.

    Where fewer than `FEW` draws are there, that share says no more than how many were drawn, and a correction for
    hundreds of comparisons would hide every difference; so the tail is that of Student's t with the draws' median and
    quartiles and the `df` of the spread between seeds (0: of the normal distribution).
    """
    below, above = int((values <= 0).sum()) + 1, int((values >= 0).sum()) + 1
    counted = float(min(1.0, 2 * min(below, above) / (len(values) + 1)))
    if min(below, above) > FEW:
        return counted
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    if low == high:
        return counted
    width = (high - low) / (2 * (stdtrit(df, 0.75) if df else ndtri(0.75)))
    beyond = -abs(middle) / width
    return min(counted, 2 * float(stdtr(df, beyond) if df else ndtr(beyond)))
