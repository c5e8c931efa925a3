"""The study: which points are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hbt_ray.config.checks import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """The study: which points of which fields are tried."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    search: Literal["grid", "random", "optuna"] = "grid"
    """`grid` takes every combination; `random` and `optuna` draw `num_samples` points."""
    space: dict[str, Any] = field(default_factory=lambda: {"plan.alpha": [0.0, 0.5, 1.0]})
    """Field -> list of values, or {low, high, log, step} for a range (`random` and `optuna` only)."""
    num_samples: int = 8
    """Points drawn by `random` and `optuna`."""
    seeds: tuple[int, ...] = (0,)
    """Every point is trained once a seed."""
    metric: str = "dev/multi_map"
    """What `optuna` and ASHA look at, and what ranks the points; of rank_distance less is better."""
    asha: bool = False
    """Stop weak trials early (asynchronous successive halving on `metric`)."""
    asha_grace_steps: int = 0
    """Steps before which no trial is stopped; 0 is one evaluation."""
    asha_reduction: float = 3.0
    """One of this many trials goes on at each rung."""
    max_concurrent: int = 0
    """Trials at once; 0 is as many as fit with all their workers and data tasks."""

    @property
    def mode(self) -> Literal["max", "min"]:
        """Whether a larger or a smaller `metric` is better."""
        return "min" if self.metric.endswith("/rank_distance") else "max"

    def __post_init__(self) -> None:
        require(bool(self.space), "tune.space", self.space, "at least one field")
        require(self.num_samples >= 1, "tune.num_samples", self.num_samples, "at least 1")
        require(len(set(self.seeds)) == len(self.seeds) >= 1, "tune.seeds", self.seeds, "distinct seeds")
        require(self.asha_reduction > 1, "tune.asha_reduction", self.asha_reduction, "above 1")
        require(
            self.max_concurrent >= 0,
            "tune.max_concurrent",
            self.max_concurrent,
            "0 (as many as fit) or above",
        )
        for name, values in self.space.items():
            if isinstance(values, Mapping):
                known = {"low", "high", "log", "step"}
                numbers = [values.get(key, 1) for key in ("low", "high", "step")]
                ok = {"low", "high"} <= set(values) <= known and all(isinstance(n, int | float) for n in numbers)
                require(
                    ok and values["low"] < values["high"],
                    f"tune.space.{name}",
                    dict(values),
                    "a list, or {low, high, log, step} with low < high",
                )
                require(
                    numbers[2] > 0 and (not values.get("log") or (values["low"] > 0 and "step" not in values)),
                    f"tune.space.{name}",
                    dict(values),
                    "a step above 0; with log: a low above 0 and no step",
                )
                require(
                    self.search != "grid",
                    f"tune.space.{name}",
                    dict(values),
                    "a list when tune.search is grid",
                )
            else:
                ok = isinstance(values, list | tuple) and len(values) > 0
                require(ok, f"tune.space.{name}", values, "a list of values, or a range {low, high}")
