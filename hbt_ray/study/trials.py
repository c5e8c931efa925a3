"""A study as it is decided on: its trials, how they ended and what they scored."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hbt_ray.config.rule import RuleConfig
from hbt_ray.config.tune import ClaimConfig
from hbt_ray.study.points import TrialSpec

NAMES: dict[str, str] = {
    "xx": "X-X",
    "xy": "X-Y",
    "source": "source language only",
    "untrained": "no fine-tuning",
}
"""Baseline -> what readers are told."""
NO_MIX = ("source", "untrained")
"""Baselines that stand for no value of alpha; they are compared, and never recommended."""
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
    """Which baseline (`NAMES`) or arm of the study it is; empty for any other trial."""
    is_control: bool = False
    """Whether it lies outside of the search space."""

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
    """`tune.metric`: the set that decides, and a number, `SET/NUMBER`."""
    config: Mapping[str, Any]
    """Settings of its latest command: dotted field -> value."""
    claims: tuple[ClaimConfig, ...] = ()
    """Of its recipe."""
    rule: RuleConfig = field(default_factory=RuleConfig)
    """By which one is recommended, of its recipe."""
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


def shown(value: Any) -> str:
    """A value of a field for readers."""
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def in_order(values: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """Sorts by the fields' values: numbers as numbers, before all else."""
    return [
        (name, float(value), "") if isinstance(value, int | float) else (name, math.inf, json.dumps(value))
        for name, value in values.items()
    ]
