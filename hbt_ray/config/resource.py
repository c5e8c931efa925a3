"""Where a trial runs, and where it is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hbt_ray.config.checks import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class ResourceConfig:
    """Where a trial runs."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    num_workers: int = 1
    """Training workers of one trial; must divide plan.batch_size."""
    use_gpu: bool = False
    """One GPU a worker (NCCL); else CPU workers (gloo)."""
    sharding: Literal["ddp", "fsdp"] = "ddp"
    """`ddp`: every worker has the whole model; `fsdp`: a shard each (FSDP2), for encoders that do not fit."""
    cpus_per_worker: float = 0.5
    """CPUs that Ray reserves for a worker; a number, not a limit on threads."""
    threads_per_worker: int = 0
    """Torch threads of a CPU worker; 0 shares the node's cores among the workers that run at once."""
    cpus_per_data_task: float = 0.5
    """CPUs that Ray reserves for a task that reads and collates batches."""
    max_failures: int = 3
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

    def __post_init__(self) -> None:
        require(self.num_workers >= 1, "resources.num_workers", self.num_workers, "at least 1")
        require(self.cpus_per_worker > 0, "resources.cpus_per_worker", self.cpus_per_worker, "above 0")
        require(self.cpus_per_data_task > 0, "resources.cpus_per_data_task", self.cpus_per_data_task, "above 0")
        require(
            self.threads_per_worker >= 0,
            "resources.threads_per_worker",
            self.threads_per_worker,
            "0 or above",
        )
        require(self.max_failures >= 0, "resources.max_failures", self.max_failures, "0 or above")


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where runs are recorded."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    uri: str = ""
    """MLflow tracking URI; empty is MLFLOW_TRACKING_URI, else a local SQLite file in the workspace."""
    experiment: str = "hbt_ray"
    """MLflow experiment."""
    log_models: Literal["best", "all", "none"] = "best"
    """Whose models go to MLflow with all their files: the recommended point's (one a seed), every finished trial's, or
    none; the workspace keeps them all."""
    system_metrics: bool = True
    """Record CPU, memory, disk, network and GPUs of every node that trains, beside the training curves."""
