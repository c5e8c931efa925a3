"""Where a trial runs, and where it is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from hbt_ray.config.checks import section


@section("resources")
@dataclass(frozen=True, kw_only=True)
class ResourceConfig:
    """Where a trial runs."""

    num_workers: PositiveInt = 1
    """Training workers of one trial; must divide plan.batch_size."""
    use_gpu: bool = False
    """One GPU a worker (NCCL); else CPU workers (gloo)."""
    sharding: Literal["ddp", "fsdp"] = "ddp"
    """`ddp`: every worker has the whole model; `fsdp`: a shard each (FSDP2), for encoders that do not fit."""
    cpus_per_worker: PositiveFloat = 0.5
    """CPUs that Ray reserves for a worker; a number, not a limit on threads."""
    threads_per_worker: NonNegativeInt = 0
    """Torch threads of a CPU worker; 0 shares the node's cores among the workers that run at once."""
    cpus_per_data_task: PositiveFloat = 0.5
    """CPUs that Ray reserves for a task that reads and collates batches."""
    max_failures: NonNegativeInt = 3
    """Restarts from the last checkpoint before a trial counts as failed: of its process, or of its workers where it has
    several."""

    @property
    def of_worker(self) -> dict[str, float]:
        """What Ray reserves for a worker."""
        return {"CPU": self.cpus_per_worker, **({"GPU": 1} if self.use_gpu else {})}

    @property
    def alone(self) -> bool:
        """Whether a trial needs nothing of Ray Train: it has one worker, and a model that is whole."""
        return self.num_workers == 1 and self.sharding == "ddp"


@section("tracking")
@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where runs are recorded."""

    uri: str = ""
    """MLflow tracking URI; empty is MLFLOW_TRACKING_URI, else a local SQLite file in the workspace."""
    experiment: str = "hbt_ray"
    """MLflow experiment."""
    log_models: Literal["best", "all", "none"] = "best"
    """Whose models go to MLflow with all their files: the recommended point's (one a seed), every finished trial's, or
    none; the workspace keeps them all."""
    system_metrics: bool = True
    """Record CPU, memory, disk, network and GPUs of every node that trains, beside the training curves."""
