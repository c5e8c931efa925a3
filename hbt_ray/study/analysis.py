"""Everything that the decision report says of a study, as numbers: per set, the decision, and the controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray
from hbt_ray.config.headline import LOWER_IS_BETTER
from hbt_ray.config.tune import OVERALL
from hbt_ray.errors import ConfigError
from hbt_ray.retrieval.scoring.cells import cells_by_lang, headline_cells
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.stats.compare import Difference, correct
from hbt_ray.stats.crossed import NUM_DRAWS, Draws, draw_numbers
from hbt_ray.stats.resample import strata
from hbt_ray.study.arms import ALPHAS, find_arm
from hbt_ray.study.claims import Claims, judge
from hbt_ray.study.decision import Decision, decide, point_difference
from hbt_ray.study.gains import BY_LANG, ByLang, lang_gains
from hbt_ray.study.points_on_set import (
    NO_TRAFFIC,
    Point,
    PointsOnSet,
    Traffic,
    point_cells,
    points_on_set,
    with_traffic,
)
from hbt_ray.study.trials import FOUR, NAMES, NO_MIX, StudyData, Trial, scored_sets

Read = Callable[[Sequence[Trial], str], Mapping[str, Scores]]
"""(trials, set) -> scores by key."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SetAnalysis:
    """All P points on one set."""

    on_set: PointsOnSet
    draws: Draws
    intervals: dict[str, tuple[tuple[float, float], ...]]
    """Number -> 95% interval of every point; NaN where nothing could be drawn."""
    front: tuple[bool, ...]
    """Which points are on the Pareto front of the four numbers, as far as the set defines them."""
    front_share: tuple[float, ...]
    """Share of the draws in which they are; NaN where unknown."""
    beaten_by: tuple[tuple[int, ...], ...]
    """The points that beat each in all four."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """The recommended point against a baseline, or where it is X-X itself, against the best mix of batches."""

    name: str
    at: int
    """The other's position among the points."""
    differences: dict[str, Difference]
    """Number -> the recommended point against the other, corrected for all the numbers."""

    @property
    def title(self) -> str:
        """`X-X only`, `no fine-tuning`."""
        return f"{self.name} only" if self.name in ALPHAS else self.name


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyAnalysis:
    """A study, analysed; `sets` has the set of the decision first."""

    study: StudyData
    target: str
    sets: tuple[SetAnalysis, ...]
    decision: Decision | None
    controls: tuple[Control, ...]
    gains: dict[int, dict[ByLang, dict[str, Difference]]]
    """Point -> number -> language -> the point against the X-X baseline; empty without that or scores by language."""
    base: int | None
    """Position of the X-X baseline; None where the study has none."""
    claims: dict[str, Claims]
    """Set -> what the study's recipe claims, judged; empty where it claims nothing."""

    @property
    def main(self) -> SetAnalysis:
        """The set of the decision."""
        return self.sets[0]

    @property
    def recommended(self) -> Point | None:
        """The recommended point."""
        return None if self.decision is None else self.main.on_set.points[self.decision.recommended]

    @property
    def unbeaten(self) -> list[Control]:
        """What may not be recommended, and gives up no more than the recommended point."""
        if self.decision is None:
            return []
        points, worst = self.main.on_set.points, self.decision.worst
        limit = worst[self.decision.recommended]
        return [control for control in self.controls if not points[control.at].eligible and worst[control.at] <= limit]

    def control(self, name: str) -> Control | None:
        """The comparison with a baseline; None where the study has none, or it is what is recommended."""
        return next((control for control in self.controls if control.name == name), None)


def analyse(study: StudyData, read: Read, set_name: str = "") -> StudyAnalysis:
    """Analyse a study by its finished trials; `set_name` decides instead of the set that the study ranks points by.

    Raises:
        ConfigError: no trial finished with scores, or none has scores on `set_name`.
    """
    finished = study.finished
    names = scored_sets(finished)
    if not names:
        counts = ", ".join(f"{sum(t.status == s for t in study.trials)} {s}" for s in {t.status for t in study.trials})
        raise ConfigError(f"study {study.name!r} has no finished trial with scores ({counts or 'no trials'})")
    chosen, _, target = study.metric.rpartition("/")
    chosen = set_name or (chosen if chosen in names else names[0])
    if chosen not in names:
        raise ConfigError(f"set {chosen!r} is not scored in study {study.name!r}; its trials have {', '.join(names)}")
    rule = study.rule
    metrics = [*rule.weights_of(target), *rule.guards, *(c.metric for c in study.claims if c.metric != OVERALL), target]
    on_sets = []
    for name in [chosen, *(name for name in names if name != chosen)]:
        scores = read(finished, name)
        trials = with_traffic(finished, scores, name, rule.traffic)
        on_sets.append(points_on_set(trials, scores, name, metrics, study.lost))
    if not on_sets[0].points:
        raise ConfigError(
            f"study {study.name!r} has no finished trial with all of {', '.join(on_sets[0].metrics)} on {chosen!r}; "
            "look for numbers that are not finite in its trials"
        )
    sets = tuple(analyse_set(on_set, rule.traffic) for on_set in on_sets if on_set.points)
    main = sets[0]
    decision = decide(main.on_set, main.draws, target, rule)
    recommended = None if decision is None else main.on_set.points[decision.recommended]
    base = find_arm(main.on_set, "X-X", recommended)
    places = range(len(main.on_set.points))
    gains = {} if base is None else {at: _gains(main.on_set, at, base) for at in places if at != base}
    return StudyAnalysis(
        study=study,
        target=target,
        sets=sets,
        decision=decision,
        controls=tuple(_controls(main, decision, target)),
        gains={at: by_number for at, by_number in gains.items() if by_number},
        base=base,
        claims={each.on_set.name: judge(study.claims, each.on_set, each.draws, recommended) for each in sets}
        if study.claims
        else {},
    )


def analyse_set(on_set: PointsOnSet, traffic: Traffic = NO_TRAFFIC) -> SetAnalysis:
    """Intervals and the Pareto front of all points on one set."""
    draws = draw(on_set, traffic)
    four = [metric for metric in FOUR if metric in on_set.metrics]
    columns = [on_set.at(metric) for metric in four]
    signs = np.array([-1.0 if metric in LOWER_IS_BETTER else 1.0 for metric in four])
    means = np.array([point.means for point in on_set.points])[:, columns] * signs
    drawn = draws.total[:, :, columns].swapaxes(0, 1) * signs  # [R, P, M]
    share = pareto_front(drawn).mean(axis=0) if draws.known else np.full(len(means), np.nan)
    return SetAnalysis(
        on_set=on_set,
        draws=draws,
        intervals={
            metric: tuple(draws.interval(values[:, column]) for values in draws.total)
            for column, metric in enumerate(on_set.metrics)
        },
        front=tuple(pareto_front(means).tolist()),
        front_share=tuple(share.tolist()),
        beaten_by=tuple(tuple(beaten_by(means, at)) for at in range(len(means))),
    )


def draw(on_set: PointsOnSet, traffic: Traffic = NO_TRAFFIC, num_draws: int = NUM_DRAWS) -> Draws:
    """Draw all points of a set, with their questions where every trial has them."""
    cells = [point_cells(point, on_set.metrics, traffic) for point in on_set.points] if on_set.by_question else []
    scores = on_set.points[0].scored[0] if cells else None
    stratum = None if scores is None else strata(cells_by_lang(headline_cells(scores)))
    trained = [point.trained for point in on_set.points]
    return draw_numbers(
        [point.numbers for point in on_set.points], cells, trained, stratum=stratum, num_draws=num_draws
    )


def _controls(main: SetAnalysis, decision: Decision | None, target: str) -> list[Control]:
    if decision is None:
        return []
    on_set = main.on_set
    recommended = on_set.points[decision.recommended]
    places = {name: find_arm(on_set, name, recommended) for name in ALPHAS}
    if places["X-X"] == decision.recommended:
        mixes = [other for other in decision.others if other not in places.values()]
        places |= {on_set.points[other].label: other for other in mixes[:1]}
    places |= {NAMES[name]: find_arm(on_set, name, None) for name in NO_MIX}
    metrics = [metric for metric in dict.fromkeys((*FOUR, *decision.weights, target)) if metric in on_set.metrics]
    controls = []
    for name, at in places.items():
        if at is None or at == decision.recommended:
            continue
        rows = {metric: point_difference(on_set, main.draws, metric, decision.recommended, at) for metric in metrics}
        controls.append(Control(name=name, at=at, differences=correct(rows)))
    return controls


def _gains(on_set: PointsOnSet, at: int, base: int) -> dict[ByLang, dict[str, Difference]]:
    gains = {metric: lang_gains(on_set, on_set.points[at], on_set.points[base], metric) for metric in BY_LANG}
    return {metric: rows for metric, rows in gains.items() if rows}


def pareto_front(numbers: FloatArray) -> NDArray[np.bool_]:
    """Which of P points are on the front, [..., P], for `numbers` [..., P, M] of which higher is better.

    A point is off the front where another is at least as good in every number and better in one; of equal points
    all are on it.
    """
    front = np.empty(numbers.shape[:-1], dtype=np.bool_)
    for at in range(numbers.shape[-2]):  # one at a time: all pairs of hundreds of points in thousands of draws are many
        front[..., at] = ~_beats(numbers, at).any(axis=-1)
    return front


def beaten_by(numbers: FloatArray, at: int) -> list[int]:
    """Points that beat point `at` of `numbers` [P, M]."""
    return np.flatnonzero(_beats(numbers, at)).tolist()


def _beats(numbers: FloatArray, at: int) -> NDArray[np.bool_]:
    """Which points beat point `at`, [..., P]."""
    ours = numbers[..., at : at + 1, :]
    return np.logical_and((numbers >= ours).all(axis=-1), (numbers > ours).any(axis=-1))
