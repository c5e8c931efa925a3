"""The rule by which a study recommends a point, and what is known of how sure that is.

The rule: the best target (mAP in the pool unless the study says otherwise) among the points whose mAP inside a language
is not significantly below the best. A point of which trials failed or were stopped is left out, as long as there are
others: without its bad seeds it would look better than it is. The decision is not complete then, and says so. Points
that only have fewer seeds so far take part with those. Controls, which lie outside of the search space, are no points
to choose; that one is not beaten is said beside the choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtrit  # type: ignore[import-untyped]

from hbt_ray.config.headline import LOWER_IS_BETTER
from hbt_ray.stats.compare import Difference, correct
from hbt_ray.stats.crossed import Draws
from hbt_ray.study.trials import PointsOnSet

GUARD = "mono_map"
"""The number that a recommended point must not lose."""
POWER, POWER_LEVEL = 0.8, 0.05
MAX_SEEDS = 100

State = Literal["clear", "noise", "unknown", "alone"]


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What would tell the recommended point from one that it cannot be told from."""

    other: int
    seeds: int | None
    """Seeds a point in all; None where no number of seeds up to `MAX_SEEDS` does."""
    questions: int | None
    """Questions below which no number of seeds does; None where the two do not differ at all."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The recommended point; numbers are positions in `PointsOnSet.points`."""

    target: str
    recommended: int
    left_out: tuple[int, ...]
    """Points of which trials failed or were stopped."""
    best_mono: int
    mono_tests: dict[int, Difference]
    """The other points against `best_mono`."""
    excluded: tuple[int, ...]
    """Points that are significantly below it."""
    forgone: dict[int, Difference]
    """Those of `excluded` that are significantly better in the target than the recommended point, the best first."""
    rivals: dict[int, Difference]
    """The recommended point against every other allowed point in the target, the closest first."""
    lead: float
    """Share of the draws in which the recommended point is the best allowed one; NaN where unknown."""
    outlook: tuple[Outlook, ...]
    """Of the rivals that it cannot be told from; empty where the spread between seeds is unknown."""
    state: State
    """`clear`: significantly better than each rival; `noise`: not; `alone`: there is no rival."""
    num_seeds: int
    """The fewest of a point that takes part."""
    most_seeds: int
    seeds_known: bool
    """Whether the spread between seeds is known."""
    seed_sd: float
    """Of the target, between seeds of one point."""

    @property
    def open_rivals(self) -> dict[int, Difference]:
        """Allowed points that the recommended one is not significantly better than."""
        return {point: row for point, row in self.rivals.items() if not row.better}


def decide(on_set: PointsOnSet, draws: Draws, target: str) -> Decision | None:
    """Apply the rule to the points of one set; None where no point of the search was scored by the target."""
    if not on_set.points or target not in on_set.metrics or GUARD not in on_set.metrics:
        return None
    of_search = [at for at, point in enumerate(on_set.points) if not point.control]
    if not of_search:
        return None
    taking_part = [at for at in of_search if not on_set.points[at].lost] or of_search
    num_seeds = [on_set.points[at].num_seeds for at in taking_part]
    mono = {at: float(on_set.points[at].means[on_set.at(GUARD)]) for at in taking_part}
    best_mono = max(taking_part, key=lambda at: mono[at])
    mono_tests = correct(
        {at: point_difference(on_set, draws, GUARD, at, best_mono) for at in taking_part if at != best_mono}
    )
    excluded = [at for at, row in mono_tests.items() if row.worse]
    allowed = [at for at in taking_part if at not in excluded]
    column = on_set.at(target)
    sign = -1 if target in LOWER_IS_BETTER else 1
    score = {at: sign * float(on_set.points[at].means[column]) for at in allowed}
    recommended = max(allowed, key=lambda at: score[at])
    others = sorted((at for at in allowed if at != recommended), key=lambda at: -score[at])
    rivals = correct({at: point_difference(on_set, draws, target, recommended, at) for at in others})
    shut_out = correct({at: point_difference(on_set, draws, target, at, recommended) for at in excluded})
    forgone = sorted((at for at in excluded if shut_out[at].better), key=lambda at: -abs(shut_out[at].difference))
    spread = draws.spread
    unsure = [at for at, row in rivals.items() if not row.better]
    outlook = [_outlook(on_set, draws, rivals[at], recommended, at, len(taking_part)) for at in unsure]
    of_allowed = sign * draws.total[allowed, :, column]
    lead = float((of_allowed.argmax(axis=0) == allowed.index(recommended)).mean()) if draws.known else np.nan
    return Decision(
        target=target,
        recommended=recommended,
        left_out=tuple(at for at in of_search if at not in taking_part),
        best_mono=best_mono,
        mono_tests=mono_tests,
        excluded=tuple(excluded),
        forgone={at: shut_out[at] for at in forgone},
        rivals=rivals,
        lead=lead,
        outlook=tuple(outlook) if spread.df else (),
        state="alone" if not rivals else "unknown" if not draws.known else "noise" if unsure else "clear",
        num_seeds=min(num_seeds),
        most_seeds=max(num_seeds),
        seeds_known=spread.df > 0,
        seed_sd=float(spread.sd[column]),
    )


def point_difference(on_set: PointsOnSet, draws: Draws, metric: str, point: int, other: int) -> Difference:
    """`point` against `other` in one number, over seeds and questions; `unknown` where neither are known."""
    column = on_set.at(metric)
    drawn = draws.total[point, :, column] - draws.total[other, :, column]
    a, b = (on_set.points[at].means[column] for at in (other, point))
    return Difference.of(metric, a, b, draws.interval(drawn), draws.p_value(drawn))


def _outlook(
    on_set: PointsOnSet, draws: Draws, row: Difference, recommended: int, other: int, num_points: int
) -> Outlook:
    column = on_set.at(row.metric)
    drawn = draws.questions[recommended, :, column] - draws.questions[other, :, column]
    interaction = float(draws.spread.interaction[column])
    num_seeds = [on_set.points[at].num_seeds for at in (recommended, other)]
    # What single questions make of single seeds falls with the number of seeds; the rest does not.
    variance = max(float(drawn.var()) - interaction * sum(1 / num for num in num_seeds), 0.0)
    between = max(float(draws.spread.sd[column]) ** 2, interaction)
    return Outlook(
        other=other,
        seeds=seeds_needed(row.difference, math.sqrt(between), variance, num_points),
        questions=questions_needed(row.difference, variance, on_set.num_questions),
    )


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
        needed = float(stdtrit(df, 1 - POWER_LEVEL / 2) + stdtrit(df, POWER))
        if needed * math.sqrt(2 * sd**2 / seeds + question_variance) <= abs(difference):
            return seeds
    return None


def questions_needed(difference: float, question_variance: float, num_questions: int) -> int | None:
    """Questions at which the questions alone would no longer hide `difference`; None for a difference of 0."""
    if not difference:
        return None
    factor = question_variance * float(ndtri(1 - POWER_LEVEL / 2) + ndtri(POWER)) ** 2 / difference**2
    return math.ceil(num_questions * factor)
