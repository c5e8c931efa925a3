"""What each worker of a run does: the loop, with its checkpoints, reports and records behind the hooks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import ray.util
import torch
from transformers.utils import logging

from hbt_ray.batches.iterator import BatchSource, received_slices
from hbt_ray.batches.slices import Slice
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.model.gather import world
from hbt_ray.records import RunRecords
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.training.artifacts import record_scores
from hbt_ray.training.chunking import Chunking
from hbt_ray.training.dataset import slice_dataset
from hbt_ray.training.feed import Feed
from hbt_ray.training.loop import Hooks, TrainLoop
from hbt_ray.training.run import (
    RunSpec,
    RunState,
    Save,
    keep_checkpoint,
    last_checkpoint,
    read_state,
    report_of,
    run_digest,
)
from hbt_ray.training.stepper import Stepper
from hbt_ray.training.system import system_metrics


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a worker of a run is; its rank is of torch's process group.

    Attributes:
        device: that it computes on.
        local_rank, local_workers: of the worker among those on its node, and how many there are.
        node_rank: of its node.
        report: tells the metrics of a checkpoint to whoever waits for them; every rank calls it.
    """

    device: torch.device
    local_rank: int = 0
    local_workers: int = 1
    node_rank: int = 0
    report: Callable[[dict[str, Any]], None]


def train_worker(spec: RunSpec, place: Place) -> None:
    """Train one rank of the run, going on from its last checkpoint."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    records = RunRecords(spec.directory)

    def note(line: str) -> None:
        if world()[0] == 0:
            records.append("note", text=line)

    with ExitStack() as stack:
        with last_checkpoint(spec, note) as directory:
            state = read_state(directory) if directory else None
            if not spec.recipe.resources.use_gpu:
                torch.set_num_threads(num_threads(spec, state, place.local_workers))
            parts: Iterable[Slice] = ()  # of a run of no steps, or one that had ended
            if (start := state.step if state else 0) < spec.recipe.train.steps:
                # Reading begins first: it starts processes of its own, and the model takes as long to load.
                parts = stack.enter_context(Feed(_slices(spec, start), lambda part: part, depth=2))
            loop = _loop(spec, place, state)
            if directory:
                loop.restore(directory)
        if state and state.step == spec.recipe.train.steps:
            # Tune may have missed the last report of a run that had ended; without it the trial would have no score
            place.report(report_of(spec, loop.step, loop.metrics))
            return
        if world()[0] == 0:
            records.params(_used(loop))
        stack.enter_context(_watched(spec, records, loop, place))
        loop.run(iter(parts), _hooks(spec, records, place))


def _loop(spec: RunSpec, place: Place, state: RunState | None) -> TrainLoop:
    corpus = Corpus.open(spec.corpus)
    stepper = Stepper(
        spec.recipe,
        spec.base,
        place.device,
        workers_on_node=place.local_workers * spec.concurrent,
        chunking=Chunking(**state.chunking) if state and state.chunking else None,
    )
    return TrainLoop(stepper, corpus, digest=run_digest(spec, corpus))


def _used(loop: TrainLoop) -> dict[str, str]:
    """What `auto` came to, for the run's parameters."""
    stepper = loop.stepper
    used = {"precision_used": stepper.precision.name, "why": stepper.precision.reason}
    if loop.recipe.train.compile:
        used["compile_used"] = str(stepper.compiled)
    if loop.recipe.plan.partition:
        used["clusters_used"] = "; ".join(" ".join(cluster) for cluster in loop.recipe.plan.partition)
    return used | {f"{name}_used": str(value) for name, value in vars(stepper.chunking).items()}


def _watched(spec: RunSpec, records: RunRecords, loop: TrainLoop, place: Place) -> AbstractContextManager[None]:
    """One worker of each node records how busy the node is."""
    if place.local_rank != 0 or not spec.recipe.tracking.system_metrics:
        return nullcontext()
    node = f"node_{place.node_rank}"
    records.params({"system": {node: ray.util.get_node_ip_address()}})
    return system_metrics(records.metrics, lambda: loop.step, node)


def num_threads(spec: RunSpec, state: RunState | None, local_workers: int) -> int:
    """As many as before where the run goes on, else as set, else the node's cores shared among its workers.

    `local_workers` of this run are on the node, and those of `spec.concurrent` - 1 other trials may be.
    """
    if state is not None and state.threads:
        return state.threads
    return spec.recipe.resources.threads_per_worker or max(
        1, (os.cpu_count() or 1) // (local_workers * spec.concurrent)
    )


def _slices(spec: RunSpec, start: int) -> Iterator[Slice]:
    train, (rank, world_size) = spec.recipe.train, world()
    dataset = slice_dataset(
        BatchSource(spec.corpus, spec.recipe.plan, train.seed, train.steps),
        start=start,
        rank=rank,
        world_size=world_size,
        num_cpus=spec.recipe.resources.cpus_per_data_task,
    )
    blocks = dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=2)
    return received_slices(blocks, start=start, rank=rank)


def _hooks(spec: RunSpec, records: RunRecords, place: Place) -> Hooks:
    def scored(step: int, scores: Scores) -> None:
        records.metrics(step, {f"{scores.name}/{name}": value for name, value in scores.headline().items()})
        if step == spec.recipe.train.steps:
            record_scores(records, scores, spec.name)

    def checkpoint(step: int, metrics: dict[str, float], save: Save | None) -> None:
        report = report_of(spec, step, metrics)
        if world()[0] == 0:
            assert save is not None, "rank 0 has the weights"
            records.flush()  # points before a checkpoint are not computed again
            keep_checkpoint(spec, step, save)
            records.append("checkpoint", step=step)
        place.report(report)

    return Hooks(records.metrics, scored, checkpoint)
