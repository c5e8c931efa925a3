"""A run on Ray Train: workers with their slices, checkpoints in shared storage, restarts that lose nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hbt_ray import errors
from hbt_ray.cluster.tasks import unwrapped
from hbt_ray.config.load import build_recipe
from hbt_ray.errors import HbtError
from hbt_ray.storage import read_json, write_json
from hbt_ray.tracking.handle import RunLog
from hbt_ray.training.run import ResumeRecord, RunResult, RunSpec, ended
from hbt_ray.training.state import MODEL, read_state

ERROR = "error.json"
POLL_S = "0.5"  # Ray Train looks at its workers every 2 s by default, and takes one report a look


def fit(spec: RunSpec, log: RunLog, *, callbacks: list[Any] | None = None) -> RunResult:
    """Run to the end, or go on where a run of this name stopped; returns at once where it has ended.

    Raises:
        HbtError: what a worker could not do, as it said it.
    """
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", POLL_S)
    recipe, resources = spec.recipe, spec.recipe.resources
    if result := ended(spec):
        return result
    write_json(f"{spec.directory}/{ERROR}", {})
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"spec": {**vars(spec), "recipe": recipe.resolved()}, "log": log},
        scaling_config=ScalingConfig(
            num_workers=resources.num_workers,
            use_gpu=resources.use_gpu,
            resources_per_worker=resources.of_worker,
        ),
        run_config=RunConfig(
            name=spec.name,
            storage_path=spec.storage,
            callbacks=[*(callbacks or []), _recording(spec.resume)],
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


def _worker(config: dict[str, Any]) -> None:
    """What each Ray Train worker runs; the model's libraries are imported there and nowhere else."""
    from hbt_ray.training.place import in_ray_train
    from hbt_ray.training.worker import train_worker

    spec = RunSpec(**{**config["spec"], "recipe": build_recipe(config["spec"]["recipe"])})
    try:
        train_worker(spec, config["log"], in_ray_train(spec))
    except HbtError as error:
        # What no restart can mend ends the run here, on every rank alike, and is raised again by `fit`.
        write_json(f"{spec.directory}/{ERROR}", {"kind": type(error).__name__, "message": str(error)})


def _recording(record: ResumeRecord) -> Any:
    from ray.train import UserCallback

    class Recording(UserCallback):  # type: ignore[misc]
        """Runs in Ray Train's controller after each checkpoint is registered."""

        def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
            if checkpoint is not None:
                record.write(int(metrics[0]["step"]))

    return Recording()
