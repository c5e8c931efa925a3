"""The claims of the paper (arXiv 2408.10536), each held against a finished study.

A claim is a handful of comparisons of two trainings in one number. It holds where each of them comes out as claimed
beyond chance, it does not hold where one comes out the other way beyond chance, and is not resolved in between. Chance
is other questions and other seeds, drawn together as for the decision (`tuning.resampling`); with a single seed a
training nothing is resolved, for a lucky seed would look like a finding. Holm's correction is for all comparisons on a
set, those of all claims.

"Best only inside a language" is read as: there better than its opposite, and elsewhere worse than the others; for X-Y,
whose opposite is level with it in the pool in places, worse than the hybrid there. A training of which seeds failed
resolves nothing: those that are left may be the lucky ones. The
hybrid is the one with alpha nearest to 0.5, the paper's, and not the one that came out best, which would be favoured by
chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.config.headline import LOWER_IS_BETTER
from hbt_ray.stats.compare import CONFIDENCE, holm
from hbt_ray.stats.crossed import Draws
from hbt_ray.study.analysis import CONTROLS, SetAnalysis, find_baseline
from hbt_ray.study.trials import Point, PointsOnSet

Role = Literal["X-X", "X-Y", "hybrid"]
Verdict = Literal["holds", "does not hold", "not resolved"]

OVERALL = "overall"
PARTS_OF_OVERALL = ("mono_map", "cross_map", "pool_map")
"""Numbers whose mean is the overall mAP."""
CLAIMS: dict[str, tuple[tuple[str, Role, Role], ...]] = {
    "X-X is best only inside a language": (
        ("mono_map", "X-X", "X-Y"),
        ("cross_map", "X-Y", "X-X"),
        ("cross_map", "hybrid", "X-X"),
        ("pool_map", "X-Y", "X-X"),
        ("pool_map", "hybrid", "X-X"),
    ),
    "X-Y is best only across languages": (
        ("cross_map", "X-Y", "X-X"),
        ("mono_map", "X-X", "X-Y"),
        ("mono_map", "hybrid", "X-Y"),
        ("pool_map", "hybrid", "X-Y"),
    ),
    "Hybrid is best overall and in the mixed pool": (
        (OVERALL, "hybrid", "X-X"),
        (OVERALL, "hybrid", "X-Y"),
        ("pool_map", "hybrid", "X-X"),
        ("pool_map", "hybrid", "X-Y"),
    ),
    "Hybrid cuts the rank distance against X-X": (("rank_distance", "hybrid", "X-X"),),
}
"""Claim -> its comparisons: number, training that is claimed to be better, the other."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One comparison of a claim."""

    metric: str
    better: Role
    """What is claimed to be better."""
    other: Role
    difference: float
    """Of `better`, minus the other; NaN where the set does not define the number, or a training is missing."""
    low: float
    high: float
    """95% interval over seeds and questions."""
    p_holm: float
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim on one set."""

    text: str
    parts: tuple[Part, ...]
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Claims:
    """All claims on one set."""

    name: str
    """Of the set."""
    places: Mapping[Role, int]
    """Training -> its position among the points; those that the study lacks are missing."""
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]
    """What stands in the way of a verdict."""


def judge(found: SetAnalysis) -> Claims:
    """Every claim on one set."""
    on_set, draws = found.on_set, found.draws
    places = find_trainings(on_set)
    asked = list(dict.fromkeys(part for parts in CLAIMS.values() for part in parts))
    used = [on_set.points[at] for at in places.values()]
    known = draws.spread.df > 0 and all(point.num_seeds > 1 and not point.lost for point in used)
    rows: dict[tuple[str, Role, Role], Part] = {}
    drawn = [_differences(found, places, *part) for part in asked]
    p_values = np.array([draws.p_value(values) if known and values.size else np.nan for _, values in drawn])
    for part, (difference, values), p_holm in zip(asked, drawn, holm(p_values), strict=True):
        metric, better, other = part
        low, high = draws.interval(values) if values.size else (np.nan, np.nan)
        rows[part] = Part(
            metric=metric,
            better=better,
            other=other,
            difference=difference,
            low=low,
            high=high,
            p_holm=float(p_holm),
            verdict=_verdict(difference, float(p_holm), metric),
        )
    claims = [_claim(text, tuple(rows[part] for part in parts)) for text, parts in CLAIMS.items()]
    return Claims(name=on_set.name, places=places, claims=tuple(claims), notes=tuple(_notes(on_set, places, draws)))


def find_trainings(on_set: PointsOnSet) -> dict[Role, int]:
    """X-X, X-Y and the hybrid among the points, alike in all but alpha as far as the study has them."""
    hybrids = [at for at, point in enumerate(on_set.points) if _is_hybrid(point)]
    places: dict[Role, int] = {}
    if hybrids:
        places["hybrid"] = min(hybrids, key=lambda at: _strangeness(on_set.points[at]))
    like = on_set.points[places["hybrid"]] if places else None
    for name, role in (("X-X", "X-X"), ("X-Y", "X-Y")):
        at = find_baseline(on_set, CONTROLS[name], like)
        if at is not None:
            places[role] = at  # type: ignore[index]
    return places


def mean_of(metric: str, on_set: PointsOnSet, numbers: FloatArray) -> FloatArray | None:
    """A number, or the overall mean of three, out of `numbers` [..., M]; None where the set does not define it."""
    metrics = PARTS_OF_OVERALL if metric == OVERALL else (metric,)
    if not set(metrics) <= set(on_set.metrics):
        return None
    found: FloatArray = numbers[..., [on_set.at(each) for each in metrics]].mean(axis=-1)
    return found


def _differences(
    found: SetAnalysis, places: Mapping[Role, int], metric: str, better: Role, other: Role
) -> tuple[float, FloatArray]:
    """Of the means, and as drawn [R]; empty where the number or a training is missing."""
    missing = float("nan"), np.zeros(0)
    if better not in places or other not in places:
        return missing
    on_set = found.on_set
    drawn = [mean_of(metric, on_set, found.draws.total[places[role]]) for role in (better, other)]
    means = [mean_of(metric, on_set, on_set.points[places[role]].means) for role in (better, other)]
    if drawn[0] is None or drawn[1] is None or means[0] is None or means[1] is None:
        return missing
    return float(means[0] - means[1]), drawn[0] - drawn[1]


def _verdict(difference: float, p_holm: float, metric: str) -> Verdict:
    if np.isnan(p_holm) or p_holm >= 1 - CONFIDENCE:
        return "not resolved"
    return "holds" if (difference > 0) != (metric in LOWER_IS_BETTER) else "does not hold"


def _claim(text: str, parts: tuple[Part, ...]) -> Claim:
    verdicts = {part.verdict for part in parts}
    verdict: Verdict = "not resolved"
    if "does not hold" in verdicts:
        verdict = "does not hold"
    elif verdicts == {"holds"}:
        verdict = "holds"
    return Claim(text=text, parts=parts, verdict=verdict)


def _is_hybrid(point: Point) -> bool:
    config = point.trials[0].config
    alpha = config.get("plan.alpha")
    constant = config.get("plan.alpha_schedule", "constant") == "constant"
    return not point.control and point.trained and constant and isinstance(alpha, int | float) and 0 < alpha < 1


def _strangeness(point: Point) -> tuple[float, int]:
    return abs(float(point.trials[0].config["plan.alpha"]) - 0.5), -point.num_seeds


def _notes(on_set: PointsOnSet, places: Mapping[Role, int], draws: Draws) -> list[str]:
    notes = [f"The study has no {role} training." for role in ("X-X", "X-Y", "hybrid") if role not in places]
    lost = [(role, on_set.points[at].lost) for role, at in places.items() if on_set.points[at].lost]
    for role, seeds in lost:
        notes.append(
            f"{role} lacks seed {', '.join(map(str, seeds))}, whose trial failed or was stopped, so nothing is "
            "resolved; the study's command runs it again."
        )
    known = draws.spread.df > 0 and all(on_set.points[at].num_seeds > 1 for at in places.values())
    if places and not known:
        notes.append(
            "A training has a single seed: nothing is known of how other seeds would have come out, so nothing is "
            "resolved; train at least 3 seeds a point (tune.seeds)."
        )
    fewest = min((on_set.points[at].num_seeds for at in places.values()), default=0)
    if known and fewest < 3:
        notes.append(
            f"With {fewest} seeds a training the spread between seeds is known poorly; the tests allow for that."
        )
    if not on_set.by_question:
        notes.append("Scores by question were not recorded, so nothing is said about other questions.")
    return notes
