"""How many seeds a point a study would need to tell two points apart."""

from __future__ import annotations

import math

from scipy.special import ndtri, stdtrit  # type: ignore[import-untyped]

POWER, LEVEL = 0.8, 0.05
MAX_SEEDS = 100


def seeds_needed(difference: float, sd: float, question_variance: float, num_points: int) -> int | None:
    """Fewest seeds a point at which `difference` would be found, with the usual estimate of the power of a t test.

    The standard error of a difference of two means over n seeds is the root of 2 sd² / n + question variance; it
    has to be below difference / (t[1 - level/2] + t[power]), t with (n - 1) x points degrees of freedom.

    Args:
        difference: between two points, as large as it is believed to be.
        sd: between seeds of one point.
        question_variance: of the difference over other questions, which more seeds do not lower.
        num_points: whose seeds tell the spread.

    Returns:
        Seeds a point in all, at least 2; None where no number up to `MAX_SEEDS` does.
    """
    for seeds in range(2, MAX_SEEDS + 1):
        df = (seeds - 1) * num_points
        needed = float(stdtrit(df, 1 - LEVEL / 2) + stdtrit(df, POWER))
        if needed * math.sqrt(2 * sd**2 / seeds + question_variance) <= abs(difference):
            return seeds
    return None


def questions_needed(difference: float, question_variance: float, num_questions: int) -> int | None:
    """Questions at which the questions alone would no longer hide `difference`; None for a difference of 0."""
    if not difference:
        return None
    factor = question_variance * float(ndtri(1 - LEVEL / 2) + ndtri(POWER)) ** 2 / difference**2
    return math.ceil(num_questions * factor)
