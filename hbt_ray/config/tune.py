"""The study: which points are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveInt

from hbt_ray.config.checks import require, section
from hbt_ray.config.headline import HEADLINE
from hbt_ray.config.rule import RuleConfig

BaselineName = Literal["xx", "xy", "source", "untrained"]
NAMES_TAKEN = (*get_args(BaselineName), "X-X", "X-Y", "source language only", "no fine-tuning", "none")
"""What an arm cannot be called."""
ARM_SIGNS = "=,/"
"""They tell a point of the space, `alpha=0.5`, from a name."""
OVERALL = "overall_map"
"""Mean of mAP inside a language, across languages and in the pool, for claims."""


@section("tune.claims")
@dataclass(frozen=True, kw_only=True)
class ClaimConfig:
    """A sentence about two arms of a study, that its report holds against the scores."""

    metric: str
    """Headline number, or overall_map."""
    above: str
    """Arm that is expected to have the higher value: X-X, X-Y, source, untrained, or a point such as alpha=0.5."""
    below: str
    """Arm that is expected to have the lower value."""
    text: str
    """The claim in one sentence; several entries of one sentence are one claim, which holds where all of them do."""

    def __post_init__(self) -> None:
        known = (*HEADLINE, OVERALL)
        require(self.metric in known, "tune.claims.metric", self.metric, f"one of {', '.join(known)}")
        require(self.above != self.below, "tune.claims.below", self.below, "another arm than above")
        require(bool(self.text.strip()), "tune.claims.text", self.text, "a sentence")


@section("tune")
@dataclass(frozen=True, kw_only=True)
class TuneConfig(RuleConfig):
    """The study: which points of which fields are tried, and by which rule one is recommended."""

    search: Literal["grid", "random", "optuna"] = "grid"
    """`grid` takes every combination; `random` and `optuna` draw `num_samples` points."""
    space: dict[str, Any] = field(default_factory=lambda: {"plan.alpha": [0.0, 0.5, 1.0]})
    """Field -> list of values, or {low, high, log, step} for a range (`random` and `optuna` only); may be
    empty where there are `arms`."""
    arms: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name -> field -> value, such as {anchored: {plan.pairs: anchored}}: configurations that are compared besides, or
    with an empty `space` alone, under their names. What an arm does not set is as in the recipe."""
    num_samples: PositiveInt = 8
    """Points drawn by `random` and `optuna`."""
    seeds: tuple[int, ...] = (0,)
    """Every point is trained once a seed."""
    baselines: tuple[BaselineName, ...] = get_args(BaselineName)
    """Trained besides, unless the space has them, with the recipe's own values of all that is varied: X-X only, X-Y
    only, training in `translate.source_lang` alone, and no training at all. The last two are never recommended."""
    equal_compute: bool = True
    """Where plan.batch_size is varied (and train.steps is not): fewer steps of larger batches, so that every trial sees
    as many pairs as train.steps of the recipe's plan.batch_size have."""
    claims: tuple[ClaimConfig, ...] = ()
    """What the study is expected to show; its report gives each a verdict on every set."""
    metric: str | tuple[str, ...] = "dev/pool_map"
    """SET/NUMBER: the set that a study is decided on, one's own relevance judgements included, and what early stopping
    and `optuna` look at; of rank_distance less is better. The number joins the losses of the rule with mono, cross and
    pool mAP, as far as the set has these. With `optuna` there may be several: it seeks their Pareto front, and the
    first is the study's."""
    asha: bool = False
    """Stop weak trials early (asynchronous successive halving on `metric`); baselines are trained to the end. With one
    seed: find a region so, and give its points more seeds in a study of its own."""
    asha_grace_steps: NonNegativeInt = 0
    """Steps before which no trial is stopped, by `median_stopping` too; 0 is one evaluation."""
    asha_reduction: Annotated[float, Field(gt=1)] = 3.0
    """One of this many trials goes on at each rung."""
    median_stopping: bool = False
    """Stop a trial early whose best `metric` so far is below the median of the others' means up to that step."""
    median_min_trials: PositiveInt = 3
    """Other trials that must have come as far before `median_stopping` stops one."""
    max_concurrent: NonNegativeInt = 0
    """Trials at once; 0 is as many as fit with all their workers and data tasks."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """All of `metric`, the one that ranks the points first."""
        return (self.metric,) if isinstance(self.metric, str) else self.metric

    @property
    def modes(self) -> tuple[Literal["max", "min"], ...]:
        """Whether a larger or a smaller value is better, of each of `metrics`."""
        return tuple("min" if metric.endswith("/rank_distance") else "max" for metric in self.metrics)

    @property
    def stops_early(self) -> bool:
        """Whether trials may be stopped before their end."""
        return self.asha or self.median_stopping

    @property
    def scales_steps(self) -> bool:
        """Whether the steps of a trial follow from its batch size."""
        return self.equal_compute and "plan.batch_size" in self.space and "train.steps" not in self.space

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.arms:
            told = name not in NAMES_TAKEN and not set(ARM_SIGNS) & set(name) and bool(name.strip())
            require(told, "tune.arms", name, f"another name, without any of {ARM_SIGNS} and none of a baseline's")
        require(bool(self.space or self.arms), "tune.space", self.space, "not empty without tune.arms")
        require(bool(self.space) or self.search == "grid", "tune.search", self.search, "grid with an empty tune.space")
        require(len(set(self.seeds)) == len(self.seeds) >= 1, "tune.seeds", self.seeds, "distinct seeds")
        require(len(set(self.baselines)) == len(self.baselines), "tune.baselines", self.baselines, "distinct names")
        require(len(set(self.metrics)) == len(self.metrics) >= 1, "tune.metric", self.metric, "one, or distinct ones")
        single = len(self.metrics) == 1 or (self.search == "optuna" and not self.stops_early)
        require(single, "tune.metric", self.metric, "one metric, or with search=optuna and no early stopping several")
        require(not (self.asha and self.median_stopping), "tune.median_stopping", True, "false with tune.asha")
        one_seed = len(self.seeds) == 1 or not self.stops_early
        require(one_seed, "tune.seeds", self.seeds, "one seed with early stopping, which judges single trials")
        steps = "train.steps" not in self.space or not self.stops_early
        require(steps, "tune.space", "train.steps", "no train.steps with early stopping, which compares after as many")
        for name, values in self.space.items():
            where = f"tune.space.{name}"
            trained = not name.startswith("resources.")
            require(trained, "tune.space", name, "no resources.*, which are the same for all trials: room is made once")
            if isinstance(values, Mapping):
                allowed = (
                    "{low, high, log, step} with low < high and a step above 0; with log a low above 0 and no step"
                )
                require(_is_range(values), where, dict(values), f"a list, or {allowed}")
                require(self.search != "grid", where, dict(values), "a list when tune.search is grid")
            else:
                ok = isinstance(values, list | tuple) and len(values) > 0
                require(ok, where, values, "a list of values, or a range {low, high}")


def _is_range(values: Mapping[str, Any]) -> bool:
    if not {"low", "high"} <= set(values) <= {"low", "high", "log", "step"}:
        return False
    low, high, step = values["low"], values["high"], values.get("step", 1)
    if not all(isinstance(number, int | float) for number in (low, high, step)):
        return False
    return bool(low < high and step > 0 and not (values.get("log") and (low <= 0 or "step" in values)))
