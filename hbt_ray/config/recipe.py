"""A whole experiment: all sections in one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from hbt_ray.config.checks import require, section
from hbt_ray.config.clean import CleanConfig
from hbt_ray.config.corpus import CorpusConfig
from hbt_ray.config.evaluation import EvaluationConfig
from hbt_ray.config.gates import GatesConfig
from hbt_ray.config.model import ModelConfig
from hbt_ray.config.plan import PlanConfig
from hbt_ray.config.resource import ResourceConfig, TrackingConfig
from hbt_ray.config.train import TrainConfig
from hbt_ray.config.translate import TranslateConfig
from hbt_ray.config.tune import TuneConfig


@section("")
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole experiment."""

    name: str = "study"
    """Name of the study or run: the same name resumes it."""
    workspace: str = "build"
    """Directory shared by all nodes that holds what is made: corpora, models, runs and the local MLflow store."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    plan: PlanConfig = field(default_factory=PlanConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    resources: ResourceConfig = field(default_factory=ResourceConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    gates: GatesConfig = field(default_factory=GatesConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    translate: TranslateConfig = field(default_factory=TranslateConfig)

    def __post_init__(self) -> None:
        ok = bool(self.name) and all(c.isalnum() or c in "._-" for c in self.name)
        require(ok, "name", self.name, "letters, digits, '.', '_' and '-'")
        require(
            self.plan.batch_size % self.resources.num_workers == 0,
            "plan.batch_size",
            self.plan.batch_size,
            f"a multiple of resources.num_workers={self.resources.num_workers}",
        )

        if self.plan.pairs == "multiway":
            share = self.resources.num_workers * self.plan.ways
            allowed = f"a multiple of resources.num_workers * plan.ways={share} with plan.pairs=multiway"
            require(self.plan.batch_size % share == 0, "plan.batch_size", self.plan.batch_size, allowed)
            allowed = "with plan.pairs=multiway it needs the term multiway, as in model.losses={multiway: 1}"
            require("multiway" in self.model.losses, "model.losses", self.model.losses, allowed)
        if self.tune.stops_early and self.train.steps:  # without steps there is nothing to stop
            steps, every = self.train.steps, self.train.eval_every
            how = "tune.asha" if self.tune.asha else "tune.median_stopping"
            require(0 < every < steps, "train.eval_every", every, f"1 to {steps - 1} with {how}")
            grace = self.tune.asha_grace_steps
            require(grace < steps, "tune.asha_grace_steps", grace, f"below train.steps={steps}")

    def with_anchor(self) -> Recipe:
        """The same with `plan.anchor_lang` filled in where the plan needs one."""
        if self.plan.pairs != "anchored" or self.plan.anchor_lang:
            return self
        return replace(self, plan=replace(self.plan, anchor_lang=self.translate.source_lang))

    def resolved(self) -> dict[str, Any]:
        """Every field with its value, as plain types (sections nested)."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    def digest(self, *sections: str) -> str:
        """12 hex digits that identify the values of `sections` (all when none is named)."""
        resolved = self.resolved()
        chosen = {name: resolved[name] for name in sections or resolved}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]
