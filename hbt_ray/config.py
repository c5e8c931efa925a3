"""The recipe: one frozen dataclass a section, checked where it is made.

A recipe is plain YAML with these sections; `section.field=value` on the command line overrides a field.
No environment variable decides anything scientific, and `resolved()` of a recipe is what goes to MLflow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hbt_ray.errors import ConfigError

FORBID_UNKNOWN = {"extra": "forbid"}


def _require(ok: bool, name: str, value: object, allowed: str) -> None:
    if not ok:
        raise ConfigError(f"{name}={value!r} is not allowed: {allowed}")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """What is learned from, and how it is tokenised."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    input: str = "sample"
    """`sample` (built in), a directory, file or glob of Parquet or JSONL in long form, or a `datasets` directory."""
    langs: tuple[str, ...] = ()
    """Language codes (BCP-47) to keep; empty keeps all."""
    dev_ids: str = ""
    """File with one item id a line, kept out of training as dev items; empty: the sample's own, or `dev_share`."""
    dev_share: float = 0.05
    """Share of items (by a hash of their id) kept for dev when there is no `dev_ids`; 0 keeps none."""
    bad_rows: Literal["error", "skip"] = "error"
    """What to do with unusable rows: stop with a clear line, or leave them out and report the counts."""
    query_prefix: str = ""
    """Put before every question ahead of tokenising, e.g. `"Query: "` (the paper)."""
    passage_prefix: str = ""
    """Put before every passage ahead of tokenising, e.g. `"Passage: "` (the paper)."""
    max_query_tokens: int = 32
    """Questions are cut to this many tokens, special tokens included."""
    max_passage_tokens: int = 256
    """Passages are cut to this many tokens, special tokens included."""

    def __post_init__(self) -> None:
        _require(0 <= self.dev_share < 1, "corpus.dev_share", self.dev_share, "a share from 0 to below 1")
        _require(self.max_query_tokens >= 4, "corpus.max_query_tokens", self.max_query_tokens, "at least 4")
        _require(self.max_passage_tokens >= 4, "corpus.max_passage_tokens", self.max_passage_tokens, "at least 4")
        _require(bool(self.input), "corpus.input", self.input, "`sample` or a path")


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """The batch plan: what step t of a run is made of (`hbt_ray.batches.plan`)."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    alpha: float = 0.5
    """Probability that a step is monolingual (X-X); 1 is X-X only, 0 is X-Y only."""
    alpha_schedule: Literal["constant", "linear", "staged"] = "constant"
    """`linear` goes from `alpha` to `alpha_end` over the run; `staged` follows `alpha_stages`."""
    alpha_end: float = 0.5
    """Alpha at the last step of a `linear` schedule."""
    alpha_stages: tuple[tuple[float, float], ...] = ()
    """`staged`: pairs (share of the run at which the stage begins, alpha), the first beginning at 0."""
    batch_size: int = 100
    """Pairs in a GLOBAL batch, over all workers."""
    pairs: Literal["mixed", "single"] = "mixed"
    """X-Y steps: every row its own language pair (the paper), or one pair for the whole batch."""
    lang_temperature: float | None = None
    """Languages are drawn with p ~ items^(1/T); null is uniform (the paper), 1 is proportional."""
    source_weights: dict[str, float] = field(default_factory=dict)
    """Relative weight of a source; those not named weigh their number of items."""
    max_passes: float | None = None
    """A stream (source x language) is drawn for at most this many passes; null is no cap."""
    shuffle_row_groups: int = 16
    """Rows are shuffled inside windows of this many row groups, so that reads stay local."""

    def __post_init__(self) -> None:
        for name in ("alpha", "alpha_end"):
            _require(0 <= getattr(self, name) <= 1, f"plan.{name}", getattr(self, name), "a probability, 0 to 1")
        _require(self.batch_size >= 2, "plan.batch_size", self.batch_size, "at least 2 (in-batch negatives)")
        if self.lang_temperature is not None:
            _require(self.lang_temperature > 0, "plan.lang_temperature", self.lang_temperature, "above 0, or null")
        if self.max_passes is not None:
            _require(self.max_passes > 0, "plan.max_passes", self.max_passes, "above 0, or null")
        _require(self.shuffle_row_groups >= 1, "plan.shuffle_row_groups", self.shuffle_row_groups, "at least 1")
        for source, weight in self.source_weights.items():
            _require(weight >= 0, f"plan.source_weights.{source}", weight, "0 or above")
        starts = [start for start, _ in self.alpha_stages]
        if self.alpha_schedule == "staged":
            _require(bool(starts) and starts[0] == 0, "plan.alpha_stages", self.alpha_stages, "first stage at 0")
        _require(starts == sorted(set(starts)), "plan.alpha_stages", self.alpha_stages, "rising, distinct starts")
        _require(
            all(0 <= start < 1 and 0 <= alpha <= 1 for start, alpha in self.alpha_stages),
            "plan.alpha_stages",
            self.alpha_stages,
            "pairs (start from 0 to below 1, alpha from 0 to 1)",
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The encoder that is fine-tuned, and its loss."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    base: str = "tiny"
    """`tiny` (built here from the corpus), a Hugging Face name, a model directory, or `package:NAME`."""
    pooling: Literal["auto", "mean", "cls", "pooler"] = "auto"
    """How token vectors become one; `auto` is what the model's own directory says, else mean."""
    temperature: float = 0.05
    """Cosine similarities are divided by this in the loss (the start value where it is learned)."""
    learn_temperature: bool = False
    """Train the temperature as a parameter."""
    symmetric: bool = False
    """Add the passage-to-query term to the loss (the paper has query-to-passage only)."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """Attention implementation of the Hugging Face model."""
    trust_remote_code: bool = False
    """Let a hub model run its own Python code; off unless you have read that code."""

    def __post_init__(self) -> None:
        _require(bool(self.base), "model.base", self.base, "`tiny`, a Hugging Face name, or a model directory")
        _require(0 < self.temperature <= 1, "model.temperature", self.temperature, "above 0, at most 1")
        learnable = not self.learn_temperature or self.temperature >= 0.01
        _require(learnable, "model.temperature", self.temperature, "0.01 to 1 where it is learned")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    steps: int = 1000
    """Optimiser steps."""
    lr: float = 3e-5
    """Peak learning rate of AdamW."""
    weight_decay: float = 0.01
    """Decoupled weight decay (not on biases and norms)."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises from 0."""
    decay: Literal["linear", "cosine", "constant"] = "linear"
    """Shape of the learning rate after warm-up; linear and cosine end at 0."""
    clip: float = 1.0
    """Largest gradient norm; 0 is no clipping."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto` is bf16 autocast where the hardware has it."""
    token_budget: int = 4096
    """Padded tokens in one forward pass: a slice is sorted by length and cut, which changes nothing but the speed."""
    seed: int = 0
    """Decides the plan, dropout and every other draw."""
    log_every: int = 10
    """Steps between two points of the training curves."""
    eval_every: int = 0
    """Steps between two dev evaluations (each with a checkpoint); 0 is at the end only."""
    checkpoint_every: int = 0
    """Steps between two checkpoints besides those of evaluations; 0 is none besides."""

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "train.steps", self.steps, "at least 1")
        _require(self.lr > 0, "train.lr", self.lr, "above 0")
        _require(self.weight_decay >= 0, "train.weight_decay", self.weight_decay, "0 or above")
        _require(0 <= self.warmup < 1, "train.warmup", self.warmup, "a share of the steps, 0 to below 1")
        _require(self.clip >= 0, "train.clip", self.clip, "0 (off) or above")
        _require(self.token_budget >= 64, "train.token_budget", self.token_budget, "at least 64")
        _require(0 <= self.seed < 2**63, "train.seed", self.seed, "0 to 2^63 - 1")
        _require(self.log_every >= 1, "train.log_every", self.log_every, "at least 1")
        for name in ("eval_every", "checkpoint_every"):
            _require(getattr(self, name) >= 0, f"train.{name}", getattr(self, name), "0 (off) or above")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What every trial is scored on."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    sets: tuple[str, ...] = ()
    """Retrieval sets scored at the end, as `xquad_r:DIRECTORY`, besides the dev items."""
    dev_langs: tuple[str, ...] = ()
    """Languages in which the dev items are scored; empty is all the corpus has."""
    max_dev_items: int = 300
    """Dev items that are scored (a fixed random choice); 0 is all."""
    token_budget: int = 4096
    """Padded tokens a worker encodes at once."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of encoding, as in `train.precision`."""

    def __post_init__(self) -> None:
        _require(self.max_dev_items >= 0, "evaluation.max_dev_items", self.max_dev_items, "0 (all) or above")
        _require(self.token_budget >= 512, "evaluation.token_budget", self.token_budget, "at least 512")
        for name in self.sets:
            _require(":" in name, "evaluation.sets", name, "KIND:DIRECTORY, e.g. xquad_r:/data/xquad_r/eval")


@dataclass(frozen=True, kw_only=True)
class ResourceConfig:
    """Where a trial runs."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    num_workers: int = 1
    """Training workers of one trial; must divide plan.batch_size."""
    use_gpu: bool = False
    """One GPU a worker (NCCL); else CPU workers (gloo)."""
    cpus_per_worker: float = 0.5
    """CPUs that Ray reserves for a worker; a number, not a limit on threads."""
    threads_per_worker: int = 0
    """Torch threads of a CPU worker; 0 shares the node's cores among the workers that run at once."""
    cpus_per_data_task: float = 0.5
    """CPUs that Ray reserves for a task that reads and collates batches."""
    max_failures: int = 3
    """Restarts of a trial's workers from the last checkpoint before the trial counts as failed."""

    def __post_init__(self) -> None:
        _require(self.num_workers >= 1, "resources.num_workers", self.num_workers, "at least 1")
        _require(self.cpus_per_worker > 0, "resources.cpus_per_worker", self.cpus_per_worker, "above 0")
        _require(self.cpus_per_data_task > 0, "resources.cpus_per_data_task", self.cpus_per_data_task, "above 0")
        _require(
            self.threads_per_worker >= 0,
            "resources.threads_per_worker",
            self.threads_per_worker,
            "0 or above",
        )
        _require(self.max_failures >= 0, "resources.max_failures", self.max_failures, "0 or above")


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
        _require(bool(self.space), "tune.space", self.space, "at least one field")
        _require(self.num_samples >= 1, "tune.num_samples", self.num_samples, "at least 1")
        _require(len(set(self.seeds)) == len(self.seeds) >= 1, "tune.seeds", self.seeds, "distinct seeds")
        _require(self.asha_reduction > 1, "tune.asha_reduction", self.asha_reduction, "above 1")
        _require(
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
                _require(
                    ok and values["low"] < values["high"],
                    f"tune.space.{name}",
                    dict(values),
                    "a list, or {low, high, log, step} with low < high",
                )
                _require(
                    numbers[2] > 0 and (not values.get("log") or (values["low"] > 0 and "step" not in values)),
                    f"tune.space.{name}",
                    dict(values),
                    "a step above 0; with log: a low above 0 and no step",
                )
                _require(
                    self.search != "grid",
                    f"tune.space.{name}",
                    dict(values),
                    "a list when tune.search is grid",
                )
            else:
                ok = isinstance(values, list | tuple) and len(values) > 0
                _require(ok, f"tune.space.{name}", values, "a list of values, or a range {low, high}")


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where runs are recorded."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    uri: str = ""
    """MLflow tracking URI; empty is MLFLOW_TRACKING_URI, else a local SQLite file in the workspace."""
    experiment: str = "hbt_ray"
    """MLflow experiment."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole experiment."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

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

    def __post_init__(self) -> None:
        ok = bool(self.name) and all(c.isalnum() or c in "._-" for c in self.name)
        _require(ok, "name", self.name, "letters, digits, '.', '_' and '-'")
        _require(
            self.plan.batch_size % self.resources.num_workers == 0,
            "plan.batch_size",
            self.plan.batch_size,
            f"a multiple of resources.num_workers={self.resources.num_workers}",
        )

        if self.tune.asha:
            steps, every = self.train.steps, self.train.eval_every
            _require(0 < every < steps, "train.eval_every", every, f"1 to {steps - 1} with tune.asha")
            grace = self.tune.asha_grace_steps
            _require(grace < steps, "tune.asha_grace_steps", grace, f"below train.steps={steps}")

    def resolved(self) -> dict[str, Any]:
        """Every field with its value, as plain types (sections nested)."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    def digest(self, *sections: str) -> str:
        """12 hex digits that identify the values of `sections` (all when none is named)."""
        resolved = self.resolved()
        chosen = {name: resolved[name] for name in sections} if sections else resolved
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]
