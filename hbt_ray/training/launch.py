"""The start of a run: on workers of Ray Train, or as one worker in this process, which a study need not wait for.

Either way workers go on from the run's last checkpoint and keep the next one themselves (`training.run`), so a run
may change from one way to the other. Ray Train starts its workers again where one dies; where this process dies, it
is for its owner to start another.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hbt_ray import errors
from hbt_ray.cluster.tasks import unwrapped
from hbt_ray.config import Recipe
from hbt_ray.config.load import build_recipe
from hbt_ray.errors import ClusterError, HbtError
from hbt_ray.records import RecordReader, RunRecords
from hbt_ray.training.run import RunResult, RunSpec, ended, result_of

ERROR = "error"
"""Kind of a record: what a worker could not do, and no restart can mend."""
POLL_S = "0.5"  # Ray Train looks at its workers every 2 s by default, and takes one report a look


def fit(spec: RunSpec, *, callbacks: list[Any] | None = None) -> RunResult:
    """Run to the end, or go on where a run of this name stopped; returns at once where it has ended.

    Raises:
        HbtError: what a worker could not do, as it said it.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", POLL_S)
    recipe, resources = spec.recipe, spec.recipe.resources
    if result := ended(spec):
        return result
    reader = RecordReader(spec.directory)
    reader.new()
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"spec": {**vars(spec), "recipe": recipe.resolved()}},
        scaling_config=ScalingConfig(
            num_workers=resources.num_workers,
            use_gpu=resources.use_gpu,
            resources_per_worker=resources.of_worker,
        ),
        run_config=RunConfig(
            name=spec.name,
            storage_path=spec.storage,
            callbacks=callbacks or [],
            failure_config=FailureConfig(max_failures=resources.max_failures, controller_failure_limit=3),
        ),
    )
    with unwrapped():
        trainer.fit()
    for record in reader.new():
        if record["kind"] == ERROR:
            raise getattr(errors, record["type"])(record["message"])
    return result_of(spec)


def _worker(config: dict[str, Any]) -> None:
    """What each Ray Train worker runs; the model's libraries are imported there and nowhere else."""
    import ray.train
    from ray.train.torch import get_device

    from hbt_ray.training.worker import Place, train_worker

    spec = RunSpec(**{**config["spec"], "recipe": build_recipe(config["spec"]["recipe"])})
    context = ray.train.get_context()
    place = Place(
        device=get_device(),
        local_rank=context.get_local_rank(),
        local_workers=context.get_local_world_size(),
        node_rank=context.get_node_rank(),
        report=ray.train.report,
    )
    try:
        train_worker(spec, place)
    except HbtError as error:
        # What no restart can mend ends the run here, on every rank alike, and is raised again by `fit`.
        RunRecords(spec.directory).append(ERROR, type=type(error).__name__, message=str(error))


def fit_alone(spec: RunSpec, report: Callable[[dict[str, Any]], None]) -> RunResult:
    """As `fit`, in this process and once; `report(metrics)` is called with each checkpoint.

    Raises:
        HbtError: what the run could not do.
        Exception: anything else; another process may go on from the last checkpoint.
    """
    from hbt_ray.training.worker import Place, train_worker

    if result := ended(spec):
        return result
    train_worker(spec, Place(device=_own_device(spec.recipe), report=report))
    return result_of(spec)


def _own_device(recipe: Recipe) -> Any:
    import torch

    if not recipe.resources.use_gpu:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ClusterError(
            "resources.use_gpu=true, and PyTorch sees no GPU in the process that Ray gave one: install a build of "
            "PyTorch for it, or set resources.use_gpu=false"
        )
    return torch.device("cuda")
