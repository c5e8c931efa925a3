"""A run on Ray Train: workers with their slices, checkpoints in shared storage, restarts that lose nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hbt_ray import errors
from hbt_ray.cluster import unwrapped
from hbt_ray.config import Recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import ConfigError, HbtError
from hbt_ray.recipes import build_recipe
from hbt_ray.storage import read_json, write_json
from hbt_ray.tracking.handle import RunLog
from hbt_ray.training.state import MODEL, STATE, RunState, check_digest, checkpoint_name, read_state, run_digest

RESUME, ERROR = "resume.json", "error.json"
POLL_S = "0.5"  # Ray Train looks at its workers every 2 s by default, and takes one report a look


@dataclass(frozen=True)
class RunSpec:
    """One run, as every process of it needs to know it.

    Attributes:
        recipe: the resolved recipe.
        corpus: directory of the prepared corpus.
        base: model directory or name.
        name: of the run; a run of the same name in the same workspace is resumed.
        storage: directory or URL under which the run's checkpoints are kept in a sub-directory `name`.
        key: of the run in the tracking store.
        concurrent: trials that may run at once, with which workers share a node's cores.
    """

    recipe: Recipe
    corpus: str
    base: str
    name: str
    storage: str
    key: str
    concurrent: int = 1

    @property
    def directory(self) -> str:
        """Where the run's checkpoints and records are."""
        return f"{self.storage}/{self.name}"

    def checkpoint(self, step: int) -> str:
        """Directory or URL of the checkpoint made after `step` steps."""
        return f"{self.directory}/{checkpoint_name(step)}"


@dataclass(frozen=True)
class RunResult:
    """How a run ended: metrics of its last evaluation, and its model directory."""

    metrics: dict[str, float]
    model: str


def fit(spec: RunSpec, log: RunLog, *, callbacks: list[Any] | None = None) -> RunResult:
    """Run to the end, or go on where a run of this name stopped; returns at once where it has ended.

    Raises:
        HbtError: what a worker could not do, as it said it.
    """
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", POLL_S)
    recipe, resources = spec.recipe, spec.recipe.resources
    record = ResumeRecord(f"{spec.directory}/{RESUME}")
    if (state := begun(spec)) and state.step == recipe.train.steps:
        return RunResult(state.metrics, f"{spec.checkpoint(state.step)}/{MODEL}")
    write_json(f"{spec.directory}/{ERROR}", {})
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"spec": {**vars(spec), "recipe": recipe.resolved()}, "log": log},
        scaling_config=ScalingConfig(
            num_workers=resources.num_workers,
            use_gpu=resources.use_gpu,
            resources_per_worker={
                "CPU": resources.cpus_per_worker,
                **({"GPU": 1} if resources.use_gpu else {}),
            },
        ),
        run_config=RunConfig(
            name=spec.name,
            storage_path=spec.storage,
            callbacks=[*(callbacks or []), _recording(record)],
            failure_config=FailureConfig(max_failures=resources.max_failures, controller_failure_limit=3),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    with unwrapped():
        result = trainer.fit()
    if error := read_json(f"{spec.directory}/{ERROR}"):
        raise getattr(errors, error["kind"])(error["message"])
    assert result.checkpoint is not None, "a run that ended has a checkpoint"
    with result.checkpoint.as_directory() as directory:
        state = read_state(Path(directory))
    return RunResult(state.metrics, f"{spec.checkpoint(state.step)}/{MODEL}")


def begun(spec: RunSpec) -> RunState | None:
    """The state of the last checkpoint of a run of this name, None where there is none.

    Raises:
        ConfigError: that run has another recipe, or has ended and was scored in another way.
    """
    step = ResumeRecord(f"{spec.directory}/{RESUME}").read()
    tree = read_json(f"{spec.checkpoint(step)}/{STATE}") if step else None
    if tree is None:
        return None
    state = RunState(**tree)
    check_digest(state, run_digest(spec.recipe, Corpus.open(spec.corpus)), f"run {spec.name} in {spec.storage}")
    if state.step == spec.recipe.train.steps and state.scored != spec.recipe.digest("evaluation"):
        raise ConfigError(
            f"run {spec.name} in {spec.storage} has ended and was scored with other evaluation.* settings; score its "
            f"model with jobs/evaluate.py --model {spec.checkpoint(step)}/{MODEL}, or give the run another name"
        )
    return state


def _worker(config: dict[str, Any]) -> None:
    """What each Ray Train worker runs; the model's libraries are imported there and nowhere else."""
    from hbt_ray.training.worker import train_worker

    spec = RunSpec(**{**config["spec"], "recipe": build_recipe(config["spec"]["recipe"])})
    try:
        train_worker(spec, config["log"])
    except HbtError as error:
        # What no restart can mend ends the run here, on every rank alike, and is raised again by `fit`.
        write_json(f"{spec.directory}/{ERROR}", {"kind": type(error).__name__, "message": str(error)})


@dataclass(frozen=True)
class ResumeRecord:
    """The step of the last checkpoint that Ray Train has registered, kept beside the checkpoints.

    For those who ask without starting Ray Train: whether a run has ended, or is another's. Written after the
    checkpoint is registered: it may be a checkpoint behind, never ahead.
    """

    path: str

    def write(self, step: int) -> None:
        """Record that the run can go on at `step`."""
        write_json(self.path, {"step": step})

    def read(self) -> int:
        """The step to go on at; 0 where nothing is recorded."""
        return int((read_json(self.path) or {}).get("step", 0))


def _recording(record: ResumeRecord) -> Any:
    from ray.train import UserCallback

    class Recording(UserCallback):  # type: ignore[misc]
        """Runs in Ray Train's controller after each checkpoint is registered."""

        def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
            if checkpoint is not None:
                record.write(int(metrics[0]["step"]))

    return Recording()
