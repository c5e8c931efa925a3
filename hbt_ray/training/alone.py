"""A run of one worker in this process: nothing has to start for it, which a study of many short trials would wait for.

What Ray Train does for several workers is little for one: a checkpoint is written whole and then recorded. Where
training fails, or the process dies, it is for its owner to start another, which goes on from there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hbt_ray.config import Recipe
from hbt_ray.errors import ClusterError
from hbt_ray.storage import is_local, open_fs
from hbt_ray.tracking.handle import RunLog
from hbt_ray.training.run import RunResult, RunSpec, ended, last_checkpoint, state_at
from hbt_ray.training.state import MODEL, checkpoint_name

if TYPE_CHECKING:  # what needs PyTorch is imported where a trial begins
    from hbt_ray.training.loop import Save

SNAPSHOT = "checkpoint_manager_snapshot.json"
"""Ray Train's list of a run's checkpoints, where it had several workers: it would miss those that are removed here."""

Report = Callable[[dict[str, Any]], None]


def fit_alone(spec: RunSpec, log: RunLog, report: Report) -> RunResult:
    """As `trainer.fit`, in this process and once; `report(metrics)` is called with each checkpoint.

    Raises:
        HbtError: what the run could not do.
        Exception: anything else; another process may go on from the last checkpoint.
    """
    from hbt_ray.training.place import Place
    from hbt_ray.training.worker import train_worker

    if result := ended(spec):
        return result
    place = Place(
        rank=0,
        world_size=1,
        local_rank=0,
        local_workers=1,
        node_rank=0,
        device=_device(spec.recipe),
        checkpoint=lambda: last_checkpoint(spec),
        report=lambda metrics, name, save: _keep(spec, metrics, name, save, report),
    )
    train_worker(spec, log, place)
    steps = spec.recipe.train.steps
    state = state_at(spec, steps)
    assert state is not None, "a run that ended has a checkpoint"
    return RunResult(state.metrics, f"{spec.checkpoint(steps)}/{MODEL}")


def _device(recipe: Recipe) -> Any:
    import torch

    if not recipe.resources.use_gpu:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ClusterError(
            "resources.use_gpu=true, and PyTorch sees no GPU in the process that Ray gave one: install a build of "
            "PyTorch for it, or set resources.use_gpu=false"
        )
    return torch.device("cuda")


def _keep(spec: RunSpec, metrics: dict[str, Any], name: str, save: Save | None, report: Report) -> None:
    """Write the checkpoint whole, record it, and only then remove the one before."""
    if save is not None:
        fs, root = open_fs(spec.directory)
        if name in _checkpoints(fs, root):  # of a process that died before it was recorded
            fs.rm(f"{root}/{name}", recursive=True)
        if is_local(fs):
            Path(root, name).mkdir(parents=True)
            save(Path(root, name))
        else:
            with tempfile.TemporaryDirectory() as directory:
                save(Path(directory))
                fs.put(f"{directory}/", f"{root}/{name}", recursive=True)
        spec.resume.write(int(metrics["step"]))
        if fs.exists(f"{root}/{SNAPSHOT}"):
            fs.rm(f"{root}/{SNAPSHOT}")
        for old in _checkpoints(fs, root) - {name}:
            fs.rm(f"{root}/{old}", recursive=True)
    report(metrics)


def _checkpoints(fs: Any, root: str) -> set[str]:
    """Names of the checkpoints in a run's directory, whole or not."""
    if not fs.exists(root):
        return set()
    names = {path.rstrip("/").rsplit("/", 1)[-1] for path in fs.ls(root, detail=False)}
    return {name for name in names if name.startswith(checkpoint_name(0).rstrip("0"))}
