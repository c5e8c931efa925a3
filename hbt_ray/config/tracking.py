"""Where runs are recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hbt_ray.config.checks import FORBID_UNKNOWN, later


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where runs are recorded."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    uri: str = ""
    """MLflow tracking URI; empty is MLFLOW_TRACKING_URI, else a local SQLite file in the workspace."""
    experiment: str = "hbt_ray"
    """MLflow experiment."""
    log_models: Literal["best", "all", "none"] = later("best")
    """Whose models go to MLflow with all their files: the recommended point's (one a seed), every finished trial's, or
    none; the workspace keeps them all."""
    system_metrics: bool = later(True)
    """Record CPU, memory, disk, network and GPUs of every node that trains, beside the training curves."""
