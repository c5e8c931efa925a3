"""What a recipe claims of its study (`tune.claims`), each claim held against the scores.

A claim names a number and two arms, of which the first is expected to have the higher value. It holds where that is
significant, it does not hold where the other arm is significantly higher, and is not resolved in between. Intervals and
p values are over other questions and other seeds, drawn together as for the decision; they are corrected by Holm for
all claims on a set. Nothing is resolved where an arm that was trained has a single seed, or lost one: a lucky seed
would look like a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hbt_ray.config.tune import OVERALL, ClaimConfig
from hbt_ray.stats.compare import Difference, correct
from hbt_ray.stats.crossed import Draws
from hbt_ray.study.arms import find_arm
from hbt_ray.study.points_on_set import Point, PointsOnSet

PARTS_OF_OVERALL = ("mono_map", "cross_map", "pool_map")
"""Numbers whose mean is `OVERALL`."""

Verdict = Literal["holds", "does not hold", "not resolved"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim on one set."""

    stated: ClaimConfig
    row: Difference | None
    """The arm expected above (b) against the other (a); None where the set lacks the number, or the study an arm."""

    @property
    def verdict(self) -> Verdict:
        """By the sign of a significant difference, whichever direction of the number is the better one."""
        if self.row is None or not self.row.significant:
            return "not resolved"
        return "holds" if self.row.difference > 0 else "does not hold"


@dataclass(frozen=True, kw_only=True)
class Claims:
    """All claims on one set."""

    claims: tuple[Claim, ...]
    notes: tuple[str, ...]
    """What stands in the way of a verdict."""

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Sentence -> verdict: one that several claims state holds where all of them do, and not where one does not."""
        by_text: dict[str, set[Verdict]] = {}
        for claim in self.claims:
            by_text.setdefault(claim.stated.text, set()).add(claim.verdict)
        worst: tuple[Verdict, ...] = ("does not hold", "not resolved", "holds")
        return {text: next(verdict for verdict in worst if verdict in verdicts) for text, verdicts in by_text.items()}


def judge(stated: Sequence[ClaimConfig], on_set: PointsOnSet, draws: Draws, like: Point | None) -> Claims:
    """Every claim on one set; an arm that several points could be is the one that is most like `like`."""
    names = dict.fromkeys(arm for claim in stated for arm in (claim.above, claim.below))
    places = {name: at for name in names if (at := find_arm(on_set, name, like)) is not None}
    notes, resolved = _notes(on_set, places, names, draws)
    rows = {}
    for claim in stated:
        columns = _columns(claim.metric, on_set)
        if columns and claim.above in places and claim.below in places:
            above, below = places[claim.above], places[claim.below]
            drawn = draws.total[above][:, columns].mean(axis=-1) - draws.total[below][:, columns].mean(axis=-1)
            a, b = (float(on_set.points[at].means[columns].mean(axis=-1)) for at in (below, above))
            p_value = draws.p_value(drawn) if resolved else np.nan
            key = (claim.metric, claim.above, claim.below)  # claims that state the same are one test
            rows[key] = Difference.of(claim.metric, a, b, draws.interval(drawn), p_value)
    tested = correct(rows)
    claims = [Claim(stated=claim, row=tested.get((claim.metric, claim.above, claim.below))) for claim in stated]
    return Claims(claims=tuple(claims), notes=tuple(notes))


def _columns(metric: str, on_set: PointsOnSet) -> list[int]:
    """Columns whose mean is the number; empty where the set does not define it."""
    metrics = PARTS_OF_OVERALL if metric == OVERALL else (metric,)
    return [on_set.at(each) for each in metrics] if set(metrics) <= set(on_set.metrics) else []


def _notes(on_set: PointsOnSet, places: dict[str, int], names: Iterable[str], draws: Draws) -> tuple[list[str], bool]:
    """What stands in the way of a verdict, and whether anything can be resolved."""
    points = {name: on_set.points[at] for name, at in places.items()}
    notes = [f"The study has no arm {name} on {on_set.name}." for name in names if name not in points]
    lost = {name: point.lost for name, point in points.items() if point.lost}
    for name, seeds in lost.items():
        notes.append(
            f"{name} lacks seed {', '.join(map(str, seeds))}, whose trial failed or was stopped, so nothing is "
            "resolved; the study's command runs it again."
        )
    fewest = min((point.num_seeds for point in points.values() if point.trained), default=0)
    known = draws.spread.df > 0 and fewest > 1
    if points and not known:
        notes.append(
            "An arm has a single seed: nothing is known of how other seeds would have come out, so nothing is "
            "resolved; train at least 3 seeds a point (tune.seeds)."
        )
    elif fewest == 2:
        notes.append("With 2 seeds an arm the spread between seeds is known poorly; the tests allow for that.")
    if not on_set.by_question:
        notes.append("Scores by question were not recorded, so nothing is said about other questions.")
    return notes, known and not lost
