"""A study as it is decided on: its trials, how they ended and what they scored, and the points that they make up."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.config.tune import ClaimConfig
from hbt_ray.retrieval.scoring.cells import headline_cells
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.retrieval.scoring.significance import same_set
from hbt_ray.stats.resample import Cells
from hbt_ray.study.points import TrialSpec

NAMES: dict[str, str] = {
    "xx": "X-X",
    "xy": "X-Y",
    "source": "source language only",
    "untrained": "no fine-tuning",
}
"""Baseline -> what readers are told."""
NO_MIX = ("source", "untrained")
"""Baselines that stand for no value of alpha."""
CONTROLS_TAG, BASELINE_TAG = "hbt.controls", "hbt.baseline"
"""Of a study's run: which baselines lie outside of its space now. Of a trial's: which baseline it is."""

FOUR = ("mono_map", "cross_map", "pool_map", "rank_distance")
"""The numbers that a mix of batches trades against each other."""

TrialStatus = Literal["finished", "stopped", "failed", "killed", "running"]


@dataclass(frozen=True)
class Trial:
    """A trial of a study: how it ended and what it scored."""

    spec: TrialSpec
    """What it varies, and its seed; of a control as read by `StudyDirectory.read`, what tells it from the points."""
    status: TrialStatus
    """`stopped` is early, by the scheduler."""
    step: int
    """Of its last evaluation; 0 where that is not known."""
    metrics: Mapping[str, float]
    """Of the last evaluation, such as `dev/pool_map`."""
    model: str = ""
    """Where the model is."""
    error: str = ""
    session: str = ""
    """The call of Ray Tune in which it failed for good."""
    key: str = ""
    """Identity of its run; with all below, of a trial that was read by `StudyDirectory.read`."""
    directory: str = ""
    """Of its run, a path or URL."""
    title: str = ""
    """Name of the run."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """All settings that decided its weights: dotted field -> value."""
    baseline: str = ""
    """Which baseline of the study it is (`NAMES`); empty for any other trial."""
    is_control: bool = False
    """Whether it lies outside of the search space, and is there to be compared with."""

    @property
    def point(self) -> dict[str, Any]:
        """Dotted field -> value, without the seed."""
        return self.spec.point

    @property
    def seed(self) -> int:
        """Of its training."""
        return self.spec.seed

    @property
    def name(self) -> str:
        """Of its directory in that of the study."""
        return self.key.rsplit("/", 1)[-1]

    @property
    def label(self) -> str:
        """For people."""
        return self.title or self.spec.label


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """A study and its trials, in the order in which they were begun."""

    name: str
    key: str
    """Identity of its run."""
    directory: str
    """Of its run, a path or URL."""
    trials: tuple[Trial, ...]
    metric: str
    """What points are ranked by, `SET/NUMBER`."""
    config: Mapping[str, Any]
    """Settings of its latest command: dotted field -> value."""
    claims: tuple[ClaimConfig, ...] = ()
    """Of its recipe."""
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> list[Trial]:
        """Trials that ran to the end."""
        return [trial for trial in self.trials if trial.status == "finished"]

    @property
    def lost(self) -> list[Trial]:
        """Trials that failed or were stopped early; those that are left of their point are perhaps the lucky ones."""
        return [trial for trial in self.trials if trial.status in ("failed", "stopped")]


def scored_sets(trials: Iterable[Trial]) -> list[str]:
    """Names of the sets that trials were scored on, dev first."""
    names = {name.rsplit("/", 1)[0] for trial in trials for name in trial.metrics if name.endswith("/pool_map")}
    return sorted(names, key=lambda name: (name != "dev", name))


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
        """Which baseline it is, where it lies outside of the search space; empty for a point of the search."""
        return self.trials[0].baseline if self.trials[0].is_control else ""

    @property
    def trained(self) -> bool:
        """Whether there were steps; else another seed would have given the same numbers."""
        return self.trials[0].config.get("train.steps") != 0

    @property
    def label(self) -> str:
        """`alpha = 0.5, lr = 0.001`; the study's only point is called so, and a control by its name."""
        if self.control:
            return NAMES.get(self.control, self.control)
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
    """Headline numbers that the trials have: `FOUR`, what the study ranks points by, and what it claims."""
    points: tuple[Point, ...]
    """In order of their values, controls last."""
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
    points.sort(key=lambda point: (list(NAMES).index(point.control) if point.control else -1, in_order(point.values)))
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


def _point_key(trial: Trial) -> str:
    return json.dumps([trial.baseline if trial.is_control else "", dict(trial.point)], sort_keys=True)


def point_cells(point: Point, metrics: Sequence[str]) -> list[list[Cells]]:
    """Cells of each number (outer) of each seed; only of points whose trials all have values by question."""
    by_seed = [headline_cells(scores) for scores in point.scored]
    return [[cells[metric] for cells in by_seed] for metric in metrics]


def shown(value: Any) -> str:
    """A value of a field for readers."""
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def in_order(values: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """Sorts by the fields' values: numbers as numbers, before all else."""
    return [
        (name, float(value), "") if isinstance(value, int | float) else (name, math.inf, json.dumps(value))
        for name, value in values.items()
    ]
