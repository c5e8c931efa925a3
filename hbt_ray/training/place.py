"""Where a worker of a run is: its rank, its device, and where its checkpoints come from and go to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hbt_ray.training.loop import Save
from hbt_ray.training.run import RunSpec, last_checkpoint


@dataclass(frozen=True, kw_only=True)
class Place:
    """A worker's place among those of its run.

    Attributes:
        rank, world_size: of the worker, and how many there are.
        local_rank, local_workers: of the worker among those on its node, and how many there are.
        node_rank: of its node.
        device: that it computes on.
        checkpoint: gives the directory of the checkpoint to go on from for as long as it is entered, or None.
        report: (metrics, name, save) keeps a checkpoint called `name` that `save(directory)` writes, and tells the
            metrics to whoever waits for them; `save` is None where there is no checkpoint to keep. Every rank calls it.
    """

    rank: int
    world_size: int
    local_rank: int
    local_workers: int
    node_rank: int
    device: torch.device
    checkpoint: Callable[[], AbstractContextManager[Path | None]]
    report: Callable[[dict[str, Any], str, Save | None], None]


def in_ray_train(spec: RunSpec) -> Place:
    """The place that Ray Train has given to this process."""
    import ray.train
    from ray.train.torch import get_device

    context = ray.train.get_context()
    return Place(
        rank=context.get_world_rank(),
        world_size=context.get_world_size(),
        local_rank=context.get_local_rank(),
        local_workers=context.get_local_world_size(),
        node_rank=context.get_node_rank(),
        device=get_device(),
        checkpoint=lambda: _checkpoint(spec),
        report=_report,
    )


@contextmanager
def _checkpoint(spec: RunSpec) -> Iterator[Path | None]:
    import ray.train

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:  # unless the run has had one worker so far, of which Ray Train knows nothing
        with last_checkpoint(spec) as directory:
            yield directory
        return
    with checkpoint.as_directory() as directory:
        yield Path(directory)


def _report(metrics: dict[str, Any], name: str, save: Save | None) -> None:
    import ray.train

    if save is None or ray.train.get_context().get_world_rank() != 0:
        ray.train.report(metrics, checkpoint=None, checkpoint_dir_name=name)
        return
    with tempfile.TemporaryDirectory() as directory:
        save(Path(directory))
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(directory), checkpoint_dir_name=name)
