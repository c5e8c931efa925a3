"""The points of a study on one set: trials that differ in their seed alone, as numbers and as cells by question."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.config.rule import TRAFFIC
from hbt_ray.retrieval.scoring.cells import headline_cells, traffic_cells
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.retrieval.scoring.significance import same_set
from hbt_ray.stats.resample import Cells, reduce_cells
from hbt_ray.study.trials import FOUR, NAMES, NO_MIX, Trial, in_order, shown

Traffic = Mapping[str, Mapping[str, float]]
"""Language of the question -> language of the passages -> weight."""
NO_TRAFFIC: Traffic = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """A point of the search space with its S finished trials, in M numbers of one set."""

    values: Mapping[str, Any]
    """What makes the point: dotted field -> value."""
    trials: tuple[Trial, ...]
    numbers: FloatArray
    """[S, M], in the order of `PointsOnSet.metrics`."""
    scored: tuple[Scores, ...]
    """Of each trial, by question; empty where a trial was recorded without."""
    lost: tuple[int, ...] = ()
    """Seeds whose trials failed, were stopped early, or lack a number."""

    @property
    def control(self) -> str:
        """Which baseline or arm it is, where it lies outside of the search space; empty for a point of the search."""
        return self.trials[0].baseline if self.trials[0].is_control else ""

    @property
    def name(self) -> str:
        """Which baseline or arm it is, in the space or not; empty for any other."""
        return self.trials[0].baseline

    @property
    def eligible(self) -> bool:
        """Whether it may be recommended."""
        return self.control not in NO_MIX

    @property
    def trained(self) -> bool:
        """Whether there were steps; else another seed would have given the same numbers."""
        return self.trials[0].config.get("train.steps") != 0

    @property
    def label(self) -> str:
        """`alpha = 0.5, lr = 0.001`; arms and what lies outside of the space by their names."""
        if self.control or self.name not in ("", *NAMES):
            return NAMES.get(self.name, self.name)
        named = [f"{name.split('.')[-1]} = {shown(value)}" for name, value in self.values.items()]
        return ", ".join(named) or "the point"

    @property
    def means(self) -> FloatArray:
        """Means over the seeds, [M]."""
        means: FloatArray = self.numbers.mean(axis=0)
        return means

    @property
    def num_seeds(self) -> int:
        """How many trials."""
        return len(self.trials)


@dataclass(frozen=True, kw_only=True, eq=False)
class PointsOnSet:
    """All points that were scored on one set."""

    name: str
    metrics: tuple[str, ...]
    """Numbers that the trials have: `FOUR`, those that the rule of the study names, and those that it claims."""
    points: tuple[Point, ...]
    """In order of their values; arms and baselines outside of the space last."""
    langs: tuple[str, ...]
    """Languages of the set; empty where no trial has scores by language."""
    by_question: bool
    """Whether every trial has values by question, all of the same questions."""
    num_questions: int
    """0 where not `by_question`."""
    notes: tuple[str, ...] = ()

    def at(self, metric: str) -> int:
        """Column of a number."""
        return self.metrics.index(metric)


def points_on_set(
    trials: Sequence[Trial],
    scores: Mapping[str, Scores],
    name: str,
    more: Sequence[str],
    lost: Sequence[Trial] = (),
) -> PointsOnSet:
    """Group the finished `trials` that were scored on set `name`, by point; `scores` is by key.

    The numbers are `FOUR` and `more`, as far as trials have them.

    A trial that lacks one of the numbers which others have (it was not finite) is left out, with a note; its seed is
    lost to its point, as are those of the trials `lost`, which failed or were stopped.
    """
    wanted = dict.fromkeys((*FOUR, *more))
    metrics = tuple(metric for metric in wanted if any(f"{name}/{metric}" in trial.metrics for trial in trials))
    whole = [trial for trial in trials if metrics and all(f"{name}/{metric}" in trial.metrics for metric in metrics)]
    notes = []
    if len(whole) < len(trials):
        left = ", ".join(trial.label for trial in trials if trial not in whole)
        notes.append(f"Not scored on {name}, and left out there: {left}.")
    groups: dict[str, list[Trial]] = {}
    for trial in whole:
        groups.setdefault(_point_key(trial), []).append(trial)
    gone: dict[str, set[int]] = {}
    for trial in (*lost, *(trial for trial in trials if trial not in whole)):
        gone.setdefault(_point_key(trial), set()).add(trial.seed)
    points = []
    for key, group in groups.items():
        group.sort(key=lambda trial: trial.seed)
        scored = tuple(scores[trial.key] for trial in group if trial.key in scores)
        points.append(
            Point(
                values=group[0].point,
                trials=tuple(group),
                numbers=np.array([[trial.metrics[f"{name}/{metric}"] for metric in metrics] for trial in group]),
                scored=scored if len(scored) == len(group) else (),
                lost=tuple(sorted(gone.get(key, set()) - {trial.seed for trial in group})),
            )
        )
    points.sort(key=_order)
    known = [scores for point in points for scores in point.scored]
    complete = bool(known) and len(known) == sum(point.num_seeds for point in points)
    if complete and not all(same_set(known[0], other) for other in known):
        complete = False
        notes.append(f"The trials were scored on different questions of {name}, so they are compared by seeds alone.")
    elif whole and not complete:
        without = sum(point.num_seeds for point in points) - len(known)
        notes.append(
            f"{without} of {len(whole)} trials were recorded without scores by question on {name}, "
            "so nothing is said about other questions."
        )
    langs = known[0].langs if len({scores.langs for scores in known}) == 1 else ()
    num_questions = len(np.unique(known[0].per_query.keys)) if complete else 0
    if num_questions == 1:
        complete, num_questions = False, 0
        notes.append(f"{name} has a single question, from which nothing can be told of others.")
    return PointsOnSet(
        name=name,
        metrics=metrics,
        points=tuple(points),
        langs=langs,
        by_question=complete,
        num_questions=num_questions,
        notes=tuple(notes),
    )


def _order(point: Point) -> tuple[int, list[tuple[str, float, str]], str]:
    """Points of the search by their values, then arms by name, then baselines."""
    baselines = list(NAMES)
    kind = baselines.index(point.control) + 2 if point.control in baselines else int(bool(point.control))
    return kind, in_order(point.values) if kind != 1 else [], point.control


def _point_key(trial: Trial) -> str:
    return json.dumps([trial.baseline if trial.is_control else "", dict(trial.point)], sort_keys=True)


def point_cells(point: Point, metrics: Sequence[str], traffic: Traffic) -> list[list[Cells]]:
    """Cells of each number (outer) of each seed; only of points whose trials all have values by question."""
    by_seed = [headline_cells(scores) | {TRAFFIC: traffic_cells(scores, traffic)} for scores in point.scored]
    return [[cells[metric] for cells in by_seed] for metric in metrics]


def with_traffic(trials: Sequence[Trial], scores: Mapping[str, Scores], name: str, traffic: Traffic) -> list[Trial]:
    """The trials with their mAP of the traffic on set `name`, as far as it is known by question and has the pairs."""
    if not traffic:
        return list(trials)
    extended = []
    for trial in trials:
        found = scores.get(trial.key)
        cells = None if found is None else traffic_cells(found, traffic)
        if cells is not None and cells.counts.size:
            value = float(reduce_cells(cells.sums.sum(axis=0)[None], cells.counts.sum(axis=0)[None], False)[0])
            trial = replace(trial, metrics={**trial.metrics, f"{name}/{TRAFFIC}": value})
        extended.append(trial)
    return extended
