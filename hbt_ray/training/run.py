"""A run as every process of it knows it: what it is, where it is kept, how far it has come, and where it goes on.

Under the run's directory (or URL) lie

    step-0000400/      a checkpoint (`training.checkpoint`), whole: its `digests.json` is written last
    records/           what it learned (`hbt_ray.records`), with the files that they name

The last two checkpoints are kept. A run is resumed from the newest whose files all have their digests.

Needs no PyTorch: trial drivers and controllers read states, and would take seconds to import it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hbt_ray.config import Recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import ClusterError, ConfigError
from hbt_ray.model.find import model_fingerprint
from hbt_ray.records import read_run
from hbt_ray.storage import file_hashes, is_full, is_local, open_fs, read_json, sync
from hbt_ray.terminal import Report

VERSION = 2
MODEL, STATE, DIGESTS = "model", "state.json", "digests.json"
CHECKPOINT = "step-"
KEPT = 2
"""Checkpoints: a damaged one must not cost the whole run."""
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


def run_digest(spec: RunSpec, corpus: Corpus) -> str:
    """Identifies what decides a run's weights: `SECTIONS` of the recipe, the corpus and the base model's files."""
    return f"{spec.recipe.digest(*SECTIONS)}-{corpus.manifest.fingerprint[:12]}-{model_fingerprint(spec.base)[:12]}"


def check_digest(state: RunState, digest: str, what: str) -> None:
    """ConfigError where `state` is of a run with another recipe or corpus than `digest` stands for."""
    if state.digest != digest:
        raise ConfigError(
            f"{what} was made with another recipe, corpus or base model (digest {state.digest}, now {digest}); "
            "give the changed recipe another name (name=...)"
        )


def read_state(directory: Path) -> RunState:
    """The state of the checkpoint in `directory`."""
    return RunState(**json.loads((directory / STATE).read_text()))


def state_at(spec: RunSpec, step: int) -> RunState | None:
    """The state of the checkpoint made after `step` steps, None where there is none."""
    tree = read_json(f"{spec.checkpoint(step)}/{STATE}")
    return None if tree is None else RunState(**tree)


def kept_steps(spec: RunSpec) -> list[int]:
    """Steps of the checkpoints that are there, whole or not, the newest first."""
    fs, path = open_fs(spec.directory)
    if not fs.isdir(path):
        return []
    fs.invalidate_cache(path)
    names = [place.rstrip("/").rsplit("/", 1)[-1] for place in fs.ls(path, detail=False)]
    numbers = [name.removeprefix(CHECKPOINT) for name in names if name.startswith(CHECKPOINT)]
    return sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)


def damage(directory: Path) -> str:
    """What is wrong with the checkpoint in a directory; empty where all its files are as they were written."""
    digests = read_json(str(directory / DIGESTS))
    if digests is None:
        return f"{DIGESTS} is missing or cut off"
    now = dict(file_hashes(directory))
    wrong = [name for name, digest in digests.items() if now.get(name) != digest]
    return f"{wrong[0]} is {'not what was written' if wrong[0] in now else 'missing'}" if wrong else ""


def last_state(spec: RunSpec) -> RunState | None:
    """The state of the checkpoint that a run of this name is resumed from, None where it starts anew.

    Of a run at a URL the files are not read, only that the checkpoint was written whole.
    """
    if is_local(open_fs(spec.directory)[0]):
        with last_checkpoint(spec) as directory:
            return read_state(directory) if directory else None
    whole = [step for step in kept_steps(spec) if read_json(f"{spec.checkpoint(step)}/{DIGESTS}")]
    return state_at(spec, whole[0]) if whole else None


def begun(spec: RunSpec) -> RunState | None:
    """`last_state`, checked against the recipe.

    Raises:
        ConfigError: that run has another recipe, or has ended and was scored in another way.
    """
    state = last_state(spec)
    if state is None:
        return None
    check_digest(state, run_digest(spec, Corpus.open(spec.corpus)), f"run {spec.name} in {spec.storage}")
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
def last_checkpoint(spec: RunSpec, note: Report = lambda line: None) -> Iterator[Path | None]:
    """Directory of the newest checkpoint that is whole, for as long as it is entered, copied here from elsewhere.

    None where the run has made none; `note` receives a line for each that is damaged.

    Raises:
        ConfigError: the run has made checkpoints, and none of them can be used.
    """
    fs, _ = open_fs(spec.directory)
    local, damaged = is_local(fs), []
    for step in kept_steps(spec):
        place = spec.checkpoint(step)
        with ExitStack() as stack:
            if local:
                directory = Path(open_fs(place)[1])
            else:
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                fs.get(f"{open_fs(place)[1]}/", f"{directory}/", recursive=True)
            if not (reason := damage(directory)):
                yield directory
                return
            unfinished = not local and not (directory / DIGESTS).exists()
        if not unfinished:
            damaged.append(f"{place}: {reason}")
            note(f"{damaged[-1]}; the checkpoint before it is taken")
    if damaged or read_run(spec.directory).has("checkpoint"):
        raise ConfigError(
            f"run {spec.name} has no checkpoint that can be used ({'; '.join(damaged) or 'they were removed'}): "
            f"restore one, or remove {spec.directory} to train it from the start"
        )
    yield None


def keep_checkpoint(spec: RunSpec, step: int, save: Save) -> None:
    """Write the checkpoint of `step` whole, and only then remove those before the last.

    Raises:
        ClusterError: the file system is full; what was written of it is removed.
    """
    name = checkpoint_name(step)
    fs, root = open_fs(spec.directory)
    part = Path(root, f".{name}.part") if is_local(fs) else Path(tempfile.mkdtemp())
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save(part)
        digests = dict(file_hashes(part))
        (part / DIGESTS).write_text(json.dumps(digests))
        if fs.exists(f"{root}/{name}"):  # a damaged one
            fs.rm(f"{root}/{name}", recursive=True)
        if is_local(fs):
            sync([*part.rglob("*"), part])
            part.rename(Path(root, name))
            sync([Path(root)])
        else:
            for file in [*digests, DIGESTS]:
                fs.put_file(str(part / file), f"{root}/{name}/{file}")
    except Exception as error:
        if is_full(error, part):
            raise ClusterError(
                f"checkpoint {spec.checkpoint(step)} cannot be written: no space is left on the file system of {part}; "
                "make room, and the same command resumes from the checkpoint before"
            ) from None
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    others = [other for other in kept_steps(spec) if other != step]
    for other in {*others} - {*[other for other in others if other < step][: KEPT - 1]}:
        fs.rm(f"{root}/{checkpoint_name(other)}", recursive=True)
