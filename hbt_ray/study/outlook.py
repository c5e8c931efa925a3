"""What would settle a decision that is open: how many seeds, or questions, make four of five such studies clear."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.stats.compare import CONFIDENCE
from hbt_ray.stats.crossed import Draws
from hbt_ray.study.points_on_set import PointsOnSet

POWER = 0.8
MAX_SEEDS, MAX_QUESTIONS = 100, 100
"""Seeds a configuration, and times the questions there are, beyond which nobody is told to go."""
NUM_DRAWS = 1000

WorstOf = Callable[[FloatArray], FloatArray]
"""Numbers [..., P, M] -> worst losses [..., P]."""


def what_settles(
    on_set: PointsOnSet, draws: Draws, worst_of: WorstOf, candidates: Sequence[int], recommended: int
) -> tuple[int | None, int | None]:
    """Seeds a configuration in all that make it clear; else, where no number of them does, questions that may.

    The correction is that of the verdict: in each study as it could come out, every other candidate is held against the
    range of all. None where neither does.
    """

    def is_clear(num_seeds: int, questions: float) -> bool:
        drawn = _with_more(on_set, draws, num_seeds, questions)
        return share_clear(worst_of(drawn)[:, candidates], candidates.index(recommended)) >= POWER

    num_seeds = min(on_set.points[at].num_seeds for at in candidates)
    if is_clear(MAX_SEEDS, 1.0):
        few, many = num_seeds, MAX_SEEDS
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if is_clear(middle, 1.0) else (middle, many)
        return many, None
    if not on_set.by_question or not is_clear(MAX_SEEDS, MAX_QUESTIONS):
        return None, None
    few_times, times = 1.0, float(MAX_QUESTIONS)
    while times / few_times > 1.05:
        between = math.sqrt(few_times * times)
        few_times, times = (few_times, between) if is_clear(MAX_SEEDS, between) else (between, times)
    return None, math.ceil(times * on_set.num_questions)


def share_clear(drawn: FloatArray, recommended: int) -> float:
    """Share of studies whose confidence set would hold one, from worst losses [R, P] as they could come out.

    Their means are the truth; in each study the gaps are those of a draw, and the reach is that of all draws.
    """
    centred = drawn - drawn.mean(axis=0)
    reach = np.quantile(np.ptp(centred, axis=1), CONFIDENCE)
    gaps = np.delete(drawn - drawn[:, [recommended]], recommended, axis=1)
    return float((gaps > reach).all(axis=1).mean())


def _with_more(on_set: PointsOnSet, draws: Draws, num_seeds: int, times: float) -> FloatArray:
    """Numbers [R, P, M] as they could be with so many seeds a point, and so many times the questions.

    The spread that was observed is taken as the true one. What single questions make of single seeds falls with the
    number of seeds; it is in the draws of questions, as a part of what differs between the points there.
    """
    spread, points = draws.spread, on_set.points
    rng = np.random.default_rng((0, 3))
    mean = draws.questions.mean(axis=1, keepdims=True)
    off = draws.questions[:, :NUM_DRAWS] - mean
    shared = off.mean(axis=0)
    own = off - shared
    variance = (own**2).mean(axis=(0, 1))
    interaction = spread.interaction * (1 - 1 / len(points))  # off a mean that each point is a part of
    now = interaction * np.mean([1 / point.num_seeds for point in points])
    then = interaction / num_seeds
    left = np.divide(np.maximum(variance - now, 0) + then, variance, out=np.ones_like(variance), where=variance > 0)
    num_trained = sum(point.trained for point in points)
    df = max((num_seeds - 1) * num_trained, 1)
    scale = np.sqrt(rng.chisquare(df, (off.shape[1], 1)) / df)
    seeds = np.array([spread.noise(scale, num_seeds, rng) * point.trained for point in points])
    drawn: FloatArray = mean + (shared + own * np.sqrt(np.minimum(left, 1))) / math.sqrt(times) + seeds
    return drawn.swapaxes(0, 1)
