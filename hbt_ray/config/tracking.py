"""Where runs are recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hbt_ray.config.checks import FORBID_UNKNOWN


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where runs are recorded."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    uri: str = ""
    """MLflow tracking URI; empty is MLFLOW_TRACKING_URI, else a local SQLite file in the workspace."""
    experiment: str = "hbt_ray"
    """MLflow experiment."""
