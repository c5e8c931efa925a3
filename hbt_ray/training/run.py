"""A run as every process of it knows it: what it is, where it is kept, and how far it has come."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hbt_ray.config import Recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import ConfigError
from hbt_ray.storage import is_local, open_fs, read_json, write_json
from hbt_ray.training.state import MODEL, STATE, RunState, check_digest, checkpoint_name, run_digest

RESUME = "resume.json"


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

    @property
    def resume(self) -> ResumeRecord:
        """How far the run has come."""
        return ResumeRecord(f"{self.directory}/{RESUME}")

    def checkpoint(self, step: int) -> str:
        """Directory or URL of the checkpoint made after `step` steps."""
        return f"{self.directory}/{checkpoint_name(step)}"


@dataclass(frozen=True)
class RunResult:
    """How a run ended: metrics of its last evaluation, and its model directory."""

    metrics: dict[str, float]
    model: str


def begun(spec: RunSpec) -> RunState | None:
    """The state of the last checkpoint of a run of this name, None where there is none.

    Raises:
        ConfigError: that run has another recipe, or has ended and was scored in another way.
    """
    step = spec.resume.read()
    state = state_at(spec, step) if step else None
    if state is None:
        return None
    check_digest(state, run_digest(spec.recipe, Corpus.open(spec.corpus)), f"run {spec.name} in {spec.storage}")
    if state.step == spec.recipe.train.steps and state.scored != spec.recipe.digest("evaluation"):
        raise ConfigError(
            f"run {spec.name} in {spec.storage} has ended and was scored with other evaluation.* settings; score its "
            f"model with jobs/evaluate.py --model {spec.checkpoint(step)}/{MODEL}, or give the run another name"
        )
    return state


def ended(spec: RunSpec) -> RunResult | None:
    """How a run of this name ended; None where it has not.

    Raises:
        ConfigError: as `begun`.
    """
    state = begun(spec)
    if state is None or state.step < spec.recipe.train.steps:
        return None
    return RunResult(state.metrics, f"{spec.checkpoint(state.step)}/{MODEL}")


@contextmanager
def last_checkpoint(spec: RunSpec) -> Iterator[Path | None]:
    """Directory of the last checkpoint for as long as it is entered, copied here from elsewhere; None without one."""
    step = spec.resume.read()
    if not step or state_at(spec, step) is None:
        yield None
        return
    fs, path = open_fs(spec.checkpoint(step))
    if is_local(fs):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as directory:
        fs.get(f"{path}/", directory, recursive=True)
        yield Path(directory)


def state_at(spec: RunSpec, step: int) -> RunState | None:
    """The state of the checkpoint made after `step` steps, None where there is none."""
    tree = read_json(f"{spec.checkpoint(step)}/{STATE}")
    return None if tree is None else RunState(**tree)


def report_of(spec: RunSpec, step: int, metrics: Mapping[str, float]) -> dict[str, Any]:
    """What is told of a checkpoint: its metrics, and how far the run has come."""
    return {**metrics, "step": step, "pairs": step * spec.recipe.plan.batch_size}


@dataclass(frozen=True)
class ResumeRecord:
    """The step of the last checkpoint, kept beside the checkpoints.

    Written after the checkpoint is there whole (and registered, where Ray Train keeps it): it may be a checkpoint
    behind, never ahead.
    """

    path: str

    def write(self, step: int) -> None:
        """Record that the run can go on at `step`."""
        write_json(self.path, {"step": step})

    def read(self) -> int:
        """The step to go on at; 0 where nothing is recorded."""
        return int((read_json(self.path) or {}).get("step", 0))
