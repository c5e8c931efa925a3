"""A run as every process of it knows it: what it is, where it is kept, how far it has come, and where it goes on.

Under the run's directory (or URL) lie

    step-0000400/      the last checkpoint (`training.checkpoint`), written whole before it is recorded
    resume.json        the step of that checkpoint
    records/           what it learned (`hbt_ray.records`), with the files that they name

Needs no PyTorch: trial drivers and controllers read states, and would take seconds to import it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hbt_ray.config import Recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import ConfigError
from hbt_ray.storage import is_local, open_fs, read_json, write_json

VERSION = 2
MODEL, STATE, RESUME = "model", "state.json", "resume.json"
CHECKPOINT = "step-"
SECTIONS = ("plan", "model", "train", "corpus")
"""Sections of the recipe that decide a run's weights."""

Save = Callable[[Path], None]
"""Writes a checkpoint into an empty directory."""


@dataclass(frozen=True)
class RunSpec:
    """One run, as every process of it needs to know it.

    Attributes:
        recipe: the resolved recipe.
        corpus: directory of the prepared corpus.
        base: model directory or name.
        name: of the run; a run of the same name in the same workspace is resumed.
        storage: directory or URL under which the run's checkpoints are kept in a sub-directory `name`.
        concurrent: trials that may run at once, with which workers share a node's cores.
    """

    recipe: Recipe
    corpus: str
    base: str
    name: str
    storage: str
    concurrent: int = 1

    @property
    def directory(self) -> str:
        """Where the run's checkpoints and records are."""
        return f"{self.storage}/{self.name}"

    def checkpoint(self, step: int) -> str:
        """Directory or URL of the checkpoint made after `step` steps."""
        return f"{self.directory}/{checkpoint_name(step)}"


@dataclass(frozen=True)
class RunState:
    """The state of a checkpoint without its tensors.

    Attributes:
        step: steps done, which is the number of the next one.
        seed: of the plan and of dropout.
        digest: identifies everything that decides the run's weights; another recipe must not go on from here.
        world_size: workers that made the step; another number is allowed, and gives the same global batches.
        metrics: reported with the checkpoint.
        scored: digest of the evaluation settings that gave them.
        threads: CPU threads of a worker, 0 on GPUs; a run goes on with as many, because sums of floats depend on it.
        chunking: how slices are cut (`training.chunking`), for the same reason.
        version: of the files; a checkpoint of another is refused.
    """

    step: int
    seed: int
    digest: str
    world_size: int
    metrics: dict[str, float]
    scored: str = ""
    threads: int = 0
    chunking: dict[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True)
class RunResult:
    """How a run ended: metrics of its last evaluation, and its model directory."""

    metrics: dict[str, float]
    model: str


def checkpoint_name(step: int) -> str:
    """Name of the checkpoint made after `step` steps."""
    return f"{CHECKPOINT}{step:07d}"


def run_digest(recipe: Recipe, corpus: Corpus) -> str:
    """Identifies what decides a run's weights: the sections in `SECTIONS` and the prepared corpus."""
    return f"{recipe.digest(*SECTIONS)}-{corpus.manifest.fingerprint[:12]}"


def check_digest(state: RunState, digest: str, what: str) -> None:
    """ConfigError where `state` is of a run with another recipe or corpus than `digest` stands for."""
    if state.digest != digest:
        raise ConfigError(
            f"{what} was made with another recipe or corpus (digest {state.digest}, now {digest}); "
            "give the changed recipe another name (name=...)"
        )


def read_state(directory: Path) -> RunState:
    """The state of the checkpoint in `directory`."""
    return RunState(**json.loads((directory / STATE).read_text()))


def state_at(spec: RunSpec, step: int) -> RunState | None:
    """The state of the checkpoint made after `step` steps, None where there is none."""
    tree = read_json(f"{spec.checkpoint(step)}/{STATE}")
    return None if tree is None else RunState(**tree)


def last_step(spec: RunSpec) -> int:
    """The step of the last checkpoint that is recorded; 0 where none is."""
    return int((read_json(f"{spec.directory}/{RESUME}") or {}).get("step", 0))


def last_state(spec: RunSpec) -> RunState | None:
    """The state of the checkpoint that a run of this name goes on from, None where it starts anew."""
    step = last_step(spec)
    return state_at(spec, step) if step else None


def begun(spec: RunSpec) -> RunState | None:
    """`last_state`, checked against the recipe.

    Raises:
        ConfigError: that run has another recipe, or has ended and was scored in another way.
    """
    state = last_state(spec)
    if state is None:
        return None
    check_digest(state, run_digest(spec.recipe, Corpus.open(spec.corpus)), f"run {spec.name} in {spec.storage}")
    if state.step == spec.recipe.train.steps and state.scored != spec.recipe.digest("evaluation"):
        raise ConfigError(
            f"run {spec.name} in {spec.storage} has ended and was scored with other evaluation.* settings; score its "
            f"model with jobs/evaluate.py --model {spec.checkpoint(state.step)}/{MODEL}, or give the run another name"
        )
    return state


def ended(spec: RunSpec) -> RunResult | None:
    """How a run of this name ended; None where it has not.

    Raises:
        ConfigError: as `begun`.
    """
    state = begun(spec)
    return result_of(spec) if state is not None and state.step == spec.recipe.train.steps else None


def result_of(spec: RunSpec) -> RunResult:
    """How a run that has ended did."""
    steps = spec.recipe.train.steps
    state = state_at(spec, steps)
    assert state is not None, "a run that ended has a checkpoint"
    return RunResult(state.metrics, f"{spec.checkpoint(steps)}/{MODEL}")


def report_of(spec: RunSpec, step: int, metrics: Mapping[str, float]) -> dict[str, Any]:
    """The report with a checkpoint: its metrics, and how far the run has come."""
    return {**metrics, "step": step, "pairs": step * spec.recipe.plan.batch_size}


@contextmanager
def last_checkpoint(spec: RunSpec) -> Iterator[Path | None]:
    """Directory of the last checkpoint for as long as it is entered, copied here from elsewhere; None without one."""
    if (state := last_state(spec)) is None:
        yield None
        return
    fs, path = open_fs(spec.checkpoint(state.step))
    if is_local(fs):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as directory:
        fs.get(f"{path}/", directory, recursive=True)
        yield Path(directory)


def keep_checkpoint(spec: RunSpec, step: int, save: Save) -> None:
    """Write the checkpoint of `step` whole, record it, and only then remove the one before."""
    name = checkpoint_name(step)
    fs, root = open_fs(spec.directory)
    if fs.exists(f"{root}/{name}"):  # of a process that died before it was recorded
        fs.rm(f"{root}/{name}", recursive=True)
    if is_local(fs):
        Path(root, name).mkdir(parents=True)
        save(Path(root, name))
    else:
        with tempfile.TemporaryDirectory() as directory:
            save(Path(directory))
            fs.put(f"{directory}/", f"{root}/{name}", recursive=True)
    write_json(f"{spec.directory}/{RESUME}", {"step": step})
    for path in fs.ls(root, detail=False):
        other = path.rstrip("/").rsplit("/", 1)[-1]
        if other.startswith(CHECKPOINT) and other != name:
            fs.rm(f"{root}/{other}", recursive=True)
