"""What the numbers of several trainings could have been with other questions and other seeds.

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

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.stats.compare import percentiles, two_sided
from hbt_ray.stats.resample import Cells, question_weights, weighted_number

NUM_DRAWS = 4000


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
        sd: FloatArray = np.sqrt((self.residuals**2).sum(axis=0) / self.df)
        return sd

    def scale(self, num_draws: int, rng: np.random.Generator) -> FloatArray:
        """How far off the pooled spread may be, [num_draws, 1]: one draw for all points, as they share it."""
        if not self.df:
            return np.ones((num_draws, 1))
        scale: FloatArray = np.sqrt(rng.chisquare(self.df, (num_draws, 1)) / self.df)
        return scale

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
        noise: FloatArray = normal / scale * np.sqrt(np.maximum(1 - share, 0) / num_seeds)
        return noise


def seed_spread(groups: Sequence[FloatArray], by_question: Sequence[FloatArray] = ()) -> SeedSpread:
    """From the numbers [S, M] of each point, and what each question adds to them, [S, K, M], where that is known.

    A point whose seeds agree in all was not trained, and tells nothing.
    """
    trained = [at for at, group in enumerate(groups) if len(group) > 1 and np.ptp(group, axis=0).any()]
    df = sum(len(groups[at]) - 1 for at in trained)
    num = groups[0].shape[1]
    residuals = [groups[at] - groups[at].mean(axis=0) for at in trained]
    known = [by_question[at] for at in trained] if by_question else []
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
    variance: FloatArray = total / df
    return variance


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


def draw_numbers(
    numbers: Sequence[FloatArray],
    cells: Sequence[list[list[Cells]]],
    trained: Sequence[bool] = (),
    *,
    stratum: IntArray | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Draws:
    """Draw all points, the same questions for all of them; a function of the scores and `seed`.

    Args:
        numbers: of each point, [S, M].
        cells: of each point, by number and seed; empty: not known by question.
        trained: which points are; the others have no other seeds to differ by. Empty: all are.
        stratum: of each question, [K], within which it is drawn (`stats.resample.strata`); None: they are one.
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
                    drawn = [weighted_number(weights, of_seed) for of_seed in of_metric]
                    questions[at, rows, column] = np.mean(drawn, axis=0)
            start += len(weights)
    parts = [
        np.stack([[question_parts(c) for c in of_metric] for of_metric in of_point], axis=-1) for of_point in cells
    ]
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
    return [cells[0]._replace(sums=np.mean([of_seed.sums for of_seed in cells], axis=0))]


def question_parts(cells: Cells) -> FloatArray:
    """What each question adds to a number that is a mean, [K]; zeros for a lowest cell, which is no sum."""
    if cells.worst:
        return np.zeros(len(cells.sums))
    parts: FloatArray = (cells.sums / cells.counts.sum(axis=0)).mean(axis=1)
    return parts
