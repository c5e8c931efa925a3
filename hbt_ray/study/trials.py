"""A study as it is decided on: its trials, what they varied, how they ended and what they scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

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

TrialStatus = Literal["finished", "stopped", "failed", "killed", "running"]


class HasMetrics(Protocol):
    """A trial, wherever it was read from."""

    @property
    def metrics(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a study; `metrics` are the last of each name, such as `dev/pool_map`."""

    run_id: str
    label: str
    point: Mapping[str, Any]
    """What the trials of the study differ in, without the seed: dotted field -> value."""
    seed: int
    status: TrialStatus
    """`stopped` is early, by the scheduler."""
    metrics: Mapping[str, float]
    config: Mapping[str, Any]
    """All parameters: dotted field -> value."""
    error: str = ""
    baseline: str = ""
    """Which baseline of the study it is (`tuning.baselines.NAMES`); empty for any other trial."""
    is_control: bool = False
    """Whether it lies outside of the search space, and is there to be compared with."""


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """A study and its trials, in the order in which they were begun."""

    name: str
    run_id: str
    tracking_uri: str
    trials: tuple[Trial, ...]
    metric: str
    """What points are ranked by, `SET/NUMBER`."""
    config: Mapping[str, Any]
    """Parameters of the study itself: dotted field -> value."""
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> list[Trial]:
        """Trials that ran to the end."""
        return [trial for trial in self.trials if trial.status == "finished"]

    @property
    def lost(self) -> list[Trial]:
        """Trials that failed or were stopped early; those that are left of their point are perhaps the lucky ones."""
        return [trial for trial in self.trials if trial.status in ("failed", "stopped")]


def scored_sets(trials: Iterable[HasMetrics]) -> list[str]:
    """Names of the sets that trials were scored on, dev first."""
    names = {name.rsplit("/", 1)[0] for trial in trials for name in trial.metrics if name.endswith("/pool_map")}
    return sorted(names, key=lambda name: (name != "dev", name))
