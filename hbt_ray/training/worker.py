"""What each Ray Train worker runs: the loop, with Ray Train and tracking behind its hooks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import ray.train
import ray.util
import torch
from ray.train.torch import get_device
from transformers.utils import logging

from hbt_ray.batches.iterator import BatchSource, received_slices
from hbt_ray.batches.slices import Slice
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.evaluation.score import Scores
from hbt_ray.tracking.artifacts import log_scores
from hbt_ray.tracking.handle import RunLog
from hbt_ray.tracking.system import system_metrics
from hbt_ray.training.chunking import Chunking
from hbt_ray.training.dataset import slice_dataset
from hbt_ray.training.feed import Feed
from hbt_ray.training.kept_scores import keep_scores
from hbt_ray.training.loop import Hooks, Save, TrainLoop
from hbt_ray.training.state import RunState, checkpoint_name, read_state, run_digest
from hbt_ray.training.trainer import RunSpec


def train_worker(spec: RunSpec, log: RunLog) -> None:
    """Train one rank of the run, going on from the checkpoint that Ray Train hands over."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    checkpoint = ray.train.get_checkpoint()
    state = _state_of(checkpoint)
    start = state.step if state else 0
    local_workers = ray.train.get_context().get_local_world_size()
    if not spec.recipe.resources.use_gpu:
        torch.set_num_threads(num_threads(spec, state, local_workers))
    # Reading begins first: it starts processes of its own, and the model takes as long to load.
    slices = Feed(_slices(spec, start), lambda part: part, depth=2) if start < spec.recipe.train.steps else None
    corpus = Corpus.open(spec.corpus)
    loop = TrainLoop(
        spec.recipe,
        corpus=corpus,
        base=spec.base,
        digest=run_digest(spec.recipe, corpus),
        device=get_device(),
        workers_on_node=local_workers * spec.concurrent,
        chunking=Chunking(**state.chunking) if state and state.chunking else None,
    )
    hooks = _hooks(spec, log, ray.train)
    if checkpoint:
        with checkpoint.as_directory() as directory:
            loop.restore(Path(directory))
    if slices is None and state:
        # Tune may have missed the last report of a run that had ended; without it the trial would have no score
        ray.train.report({**loop.metrics, "step": loop.step, "pairs": loop.step * spec.recipe.plan.batch_size})
        return
    if loop.rank == 0:
        used = {"precision_used": loop.stepper.precision.name, "why": loop.stepper.precision.reason}
        if spec.recipe.train.compile:
            used["compile_used"] = f"{loop.stepper.compiled.used}: {loop.stepper.compiled.reason}"
        log.log_params(
            spec.key, {**used, **{f"{name}_used": str(value) for name, value in vars(loop.stepper.chunking).items()}}
        )
    with slices or nullcontext(()) as parts, _watched(spec, log, loop):  # a run of no steps has none
        loop.run(iter(parts), hooks)


def _watched(spec: RunSpec, log: RunLog, loop: TrainLoop) -> AbstractContextManager[None]:
    """One worker of each node records how busy the node is."""
    context = ray.train.get_context()
    if context.get_local_rank() != 0 or not spec.recipe.tracking.system_metrics:
        return nullcontext()
    node = f"node_{context.get_node_rank()}"
    log.log_params(spec.key, {"system": {node: ray.util.get_node_ip_address()}})
    return system_metrics(
        lambda step, found: log.log_metrics(spec.key, [{"step": step, **found}]), lambda: loop.step, node
    )


def num_threads(spec: RunSpec, state: RunState | None, local_workers: int) -> int:
    """As many as before where the run goes on, else as set, else the node's cores shared among its workers.

    `local_workers` of this run are on the node, and those of `spec.concurrent` - 1 other trials may be.
    """
    if state is not None and state.threads:
        return state.threads
    return spec.recipe.resources.threads_per_worker or max(
        1, (os.cpu_count() or 1) // (local_workers * spec.concurrent)
    )


def _state_of(checkpoint: Any) -> RunState | None:
    if not checkpoint:
        return None
    with checkpoint.as_directory() as directory:
        return read_state(Path(directory))


def _slices(spec: RunSpec, start: int) -> Iterator[Slice]:
    context, train = ray.train.get_context(), spec.recipe.train
    rank = context.get_world_rank()
    dataset = slice_dataset(
        BatchSource(spec.corpus, spec.recipe.plan, train.seed, train.steps),
        start=start,
        rank=rank,
        world_size=context.get_world_size(),
        num_cpus=spec.recipe.resources.cpus_per_data_task,
    )
    blocks = dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=2)
    return received_slices(blocks, start=start, rank=rank)


def _hooks(spec: RunSpec, log: RunLog, train: Any) -> Hooks:
    def curve(step: int, point: Mapping[str, float]) -> None:
        log.log_metrics(spec.key, [{"step": step, **point}])

    def scores(step: int, found: Scores) -> None:
        headline = {f"{found.name}/{name}": value for name, value in found.headline().items()}
        log.log_metrics(spec.key, [{"step": step, **headline}])
        if step == spec.recipe.train.steps:
            keep_scores(spec.directory, found)
            log_scores(log, spec.key, found, spec.name)

    def checkpoint(step: int, metrics: dict[str, float], save: Save) -> None:
        report = {**metrics, "step": step, "pairs": step * spec.recipe.plan.batch_size}
        if train.get_context().get_world_rank() != 0:
            train.report(report, checkpoint=None, checkpoint_dir_name=checkpoint_name(step))
            return
        with tempfile.TemporaryDirectory() as directory:
            save(Path(directory))
            made = train.Checkpoint.from_directory(directory)
            train.report(report, checkpoint=made, checkpoint_dir_name=checkpoint_name(step))

    return Hooks(curve, scores, checkpoint)
