"""The rule by which a study recommends a point, and what is known of how sure that is.

The rule: the best target (mAP in the pool unless the study says otherwise) among the points whose mAP inside a language
is not significantly below the best. A point of which trials failed or were stopped is left out, as long as there are
others: without its bad seeds it would look better than it is. The decision is not complete then, and says so. Points
that only have fewer seeds so far take part with those. Controls, which lie outside of the search space, are no points
to choose; that one is not beaten is said beside the choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hbt_ray.retrieval.scoring.significance import LOWER_IS_BETTER, holm
from hbt_ray.study.point_scores import PointsOnSet
from hbt_ray.study.power import questions_needed, seeds_needed
from hbt_ray.study.resampling import CONFIDENCE, Draws

GUARD = "mono_map"
"""The number that a recommended point must not lose."""

Verdict = Literal["real", "noise", "unknown"]
State = Literal["clear", "noise", "unknown", "alone"]


@dataclass(frozen=True, kw_only=True)
class Versus:
    """One point against another in one number; `verdict` is unknown where neither seeds nor questions are."""

    metric: str
    point: int
    other: int
    difference: float
    """Of the point, minus that of the other."""
    low: float
    high: float
    """95% interval over seeds and questions, as far as they are known."""
    p_value: float
    p_holm: float
    """After Holm's correction for the points that are tested together."""
    verdict: Verdict

    @property
    def better(self) -> bool:
        """Whether the number favours the point beyond chance."""
        return self.verdict == "real" and (self.difference > 0) != (self.metric in LOWER_IS_BETTER)

    @property
    def worse(self) -> bool:
        """Whether the number favours the other beyond chance."""
        return self.verdict == "real" and not self.better


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What would tell the recommended point from one that it cannot be told from."""

    other: int
    seeds: int | None
    """Seeds a point in all; None where no number of seeds up to `power.MAX_SEEDS` does."""
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
    mono_tests: tuple[Versus, ...]
    """The other points against `best_mono`."""
    excluded: tuple[int, ...]
    """Points that are significantly below it."""
    forgone: tuple[Versus, ...]
    """Those of `excluded` that are better in the target than the recommended point, beyond chance, the best first."""
    rivals: tuple[Versus, ...]
    """The recommended point against every other allowed point in the target, the closest first."""
    lead: float
    """Share of the draws in which the recommended point is the best allowed one; NaN where unknown."""
    outlook: tuple[Outlook, ...]
    """Of the rivals that it cannot be told from; empty where the spread between seeds is unknown."""
    state: State
    """`clear`: better than each rival beyond chance; `noise`: not; `alone`: there is no rival."""
    num_seeds: int
    """The fewest of a point that takes part."""
    most_seeds: int
    seeds_known: bool
    """Whether the spread between seeds is known."""
    seed_sd: float
    """Of the target, between seeds of one point."""

    @property
    def open_rivals(self) -> list[Versus]:
        """Allowed points that the recommended one cannot be told from."""
        return [rival for rival in self.rivals if not rival.better]


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
    mono_tests = compare_points(on_set, draws, [(at, best_mono) for at in taking_part if at != best_mono], GUARD)
    excluded = [test.point for test in mono_tests if test.worse]
    allowed = [at for at in taking_part if at not in excluded]
    column = on_set.at(target)
    sign = -1 if target in LOWER_IS_BETTER else 1
    score = {at: sign * float(on_set.points[at].means[column]) for at in allowed}
    recommended = max(allowed, key=lambda at: score[at])
    others = sorted((at for at in allowed if at != recommended), key=lambda at: -score[at])
    rivals = compare_points(on_set, draws, [(recommended, at) for at in others], target)
    shut_out = compare_points(on_set, draws, [(at, recommended) for at in excluded], target)
    forgone = sorted((row for row in shut_out if row.better), key=lambda row: -abs(row.difference))
    spread = draws.spread
    unsure = [rival for rival in rivals if not rival.better]
    outlook = [_outlook(on_set, draws, rival, len(taking_part)) for rival in unsure]
    of_allowed = sign * draws.total[allowed, :, column]
    leads = float((of_allowed.argmax(axis=0) == allowed.index(recommended)).mean()) if draws.known else np.nan
    return Decision(
        target=target,
        recommended=recommended,
        left_out=tuple(at for at in of_search if at not in taking_part),
        best_mono=best_mono,
        mono_tests=tuple(mono_tests),
        excluded=tuple(excluded),
        forgone=tuple(forgone),
        rivals=tuple(rivals),
        lead=leads,
        outlook=tuple(outlook) if spread.df else (),
        state="alone" if not rivals else "unknown" if not draws.known else "noise" if unsure else "clear",
        num_seeds=min(num_seeds),
        most_seeds=max(num_seeds),
        seeds_known=spread.df > 0,
        seed_sd=float(spread.sd[column]),
    )


def compare_points(on_set: PointsOnSet, draws: Draws, pairs: Sequence[tuple[int, int]], metric: str) -> list[Versus]:
    """Each (point, other) in one number, over seeds and questions, with Holm's correction for all the pairs."""
    column = on_set.at(metric)
    differences = [draws.total[at, :, column] - draws.total[other, :, column] for at, other in pairs]
    p_values = np.array([draws.p_value(found) for found in differences])
    rows = []
    for (at, other), found, p_value, p_holm in zip(pairs, differences, p_values, holm(p_values), strict=True):
        low, high = draws.interval(found)
        rows.append(
            Versus(
                metric=metric,
                point=at,
                other=other,
                difference=float(on_set.points[at].means[column] - on_set.points[other].means[column]),
                low=low,
                high=high,
                p_value=float(p_value),
                p_holm=float(p_holm),
                verdict=verdict_of(float(p_holm)),
            )
        )
    return rows


def verdict_of(p_holm: float) -> Verdict:
    """Real where chance alone would be this far off less than once in twenty studies."""
    return "unknown" if np.isnan(p_holm) else "real" if p_holm < 1 - CONFIDENCE else "noise"


def _outlook(on_set: PointsOnSet, draws: Draws, rival: Versus, num_points: int) -> Outlook:
    column = on_set.at(rival.metric)
    found = draws.questions[rival.point, :, column] - draws.questions[rival.other, :, column]
    interaction = float(draws.spread.interaction[column])
    num_seeds = [on_set.points[at].num_seeds for at in (rival.point, rival.other)]
    # What single questions make of single seeds falls with the number of seeds; the rest does not.
    variance = max(float(found.var()) - interaction * sum(1 / num for num in num_seeds), 0.0)
    between = max(float(draws.spread.sd[column]) ** 2, interaction)
    return Outlook(
        other=rival.other,
        seeds=seeds_needed(rival.difference, math.sqrt(between), variance, num_points),
        questions=questions_needed(rival.difference, variance, on_set.num_questions),
    )
