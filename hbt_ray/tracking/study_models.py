"""Which of a study's models go to MLflow with all their files, and a word about each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from hbt_ray.errors import HbtError
from hbt_ray.tracking.models import log_model, run_model

Which = Literal["best", "all", "none"]
Report = Callable[[str], None]


def log_run_models(tracking_uri: str, run_ids: Sequence[str], report: Report) -> None:
    """Log the models of these runs where that was not done; what cannot be logged is said, and ends nothing.

    Args:
        tracking_uri: of the runs.
        run_ids: runs whose training ended.
        report: receives a line for each model that could not be logged, and one in the end.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    client = MlflowClient(tracking_uri=tracking_uri)
    logged = []
    for run_id in run_ids:
        try:
            # a run's own steps, which a study may vary
            step = int(client.get_run(run_id).data.params.get("train.steps", 0))
            logged.append(log_model(client, run_id, run_model(client, run_id), step=step))
        except (HbtError, MlflowException, OSError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0][:300]
            report(f"note: the model of run {run_id} is not in MLflow: {line}")
    if logged:
        report(f"models in MLflow: {', '.join(model.model_uri for model in logged)}")


def chosen_runs(which: Which, recommended: Sequence[str], finished: Sequence[str]) -> list[str]:
    """Runs whose models are logged: those of the recommended point, all that ended, or none."""
    choice: dict[Which, Sequence[str]] = {"best": recommended, "all": finished, "none": ()}
    return list(choice[which])
