"""Reads a study from MLflow alone: from a database or a server, wherever its trials ran."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from hbt_ray.errors import ClusterError, ConfigError
from hbt_ray.tracking.runs import EARLY_STOPPED_TAG
from hbt_ray.tracking.uri import check_tracking, sqlite_path
from hbt_ray.tuning.points import SEED
from hbt_ray.tuning.study_data import StudyData, Trial, TrialStatus

STATUS: dict[str, TrialStatus] = {
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "killed",
    "RUNNING": "running",
    "SCHEDULED": "running",
}
SECTIONS = ("corpus", "plan", "model", "train")
"""Sections of a recipe that decide what a model becomes; trials that differ here are different points."""
PAGE = 1000


def open_client(tracking_uri: str) -> MlflowClient:
    """The client of a store that exists and answers.

    Raises:
        ConfigError: the database of a SQLite URI does not exist (MLflow would make an empty one).
        ClusterError: the store cannot be used, or its server does not answer.
    """
    database = sqlite_path(tracking_uri)
    if database is not None and not database.is_file():
        raise ConfigError(
            f"tracking URI {tracking_uri!r}: there is no database {database}; name the store of the study by "
            "--tracking-uri, or its workspace by --workspace"
        )
    check_tracking(tracking_uri)
    return MlflowClient(tracking_uri=tracking_uri)


def read_study(tracking_uri: str, experiment: str, name: str) -> StudyData:
    """The newest study called `name`.

    Raises:
        ConfigError: no such experiment or study; names those that are there.
        ClusterError: the store does not answer, or stops answering.
    """
    client = open_client(tracking_uri)
    try:
        parents = _studies(client, experiment)
        named = [run for run in parents if run.data.tags.get("hbt.study") == name]
        if not named:
            known = ", ".join(sorted({run.data.tags.get("hbt.study", "") for run in parents})) or "none"
            raise ConfigError(f"study {name!r} is not in experiment {experiment!r} of {tracking_uri}; there: {known}")
        parent = named[0]
        children = _search(client, [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    except MlflowException as error:
        raise store_error(tracking_uri, error) from error
    config = _values(parent)
    runs = [run for run in reversed(children) if run.data.tags.get("hbt.kind") == "trial"]
    notes = []
    if len(named) > 1:
        notes.append(f"{len(named)} studies are called {name}; this is the newest, run {parent.info.run_id}.")
    return StudyData(
        name=name,
        run_id=str(parent.info.run_id),
        tracking_uri=tracking_uri,
        trials=tuple(_trials(runs, config)),
        metric=str(config.get("tune.metric", "dev/multi_map")),
        config=config,
        notes=tuple(notes),
    )


def store_error(tracking_uri: str, error: Exception) -> ClusterError:
    """A store that stopped answering, in one line."""
    line = (str(error).splitlines() or [type(error).__name__])[0][:300]
    return ClusterError(f"tracking URI {tracking_uri!r}: the store does not answer as it should ({line})")


def _studies(client: MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    if found is None:
        known = ", ".join(sorted(each.name for each in client.search_experiments())) or "none"
        raise ConfigError(f"experiment {experiment!r} is not in the tracking store; there: {known}")
    return _search(client, [found.experiment_id], "tags.`hbt.kind` = 'study'")


def _search(client: MlflowClient, experiments: list[str], query: str) -> list[Run]:
    """All runs, newest first."""
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs(experiments, query, max_results=PAGE, order_by=["start_time DESC"], page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _trials(runs: Sequence[Run], config: Mapping[str, Any]) -> list[Trial]:
    values = [_values(run) for run in runs]
    space = {name.removeprefix("tune.space.") for name in config if name.startswith("tune.space.")}
    # A searcher's range is logged as tune.space.FIELD.low and so on; its field is what the trials differ in.
    fields = sorted({name for found in values for name in found if name.partition(".")[0] in SECTIONS} - {SEED})
    varied = [name for name in fields if name in space or len({json.dumps(found.get(name)) for found in values}) > 1]
    trials = []
    for run, found in zip(runs, values, strict=True):
        tags = run.data.tags
        status: TrialStatus = "stopped" if EARLY_STOPPED_TAG in tags else STATUS[run.info.status]
        trials.append(
            Trial(
                run_id=str(run.info.run_id),
                label=str(run.info.run_name),
                point={name: found.get(name) for name in varied},
                seed=int(tags.get("hbt.seed", found.get(SEED, 0))),
                status=status,
                metrics={name: value for name, value in run.data.metrics.items() if math.isfinite(value)},
                config=found,
                error=tags.get("hbt.error", "") if status == "failed" else "",
            )
        )
    return trials


def _values(run: Run) -> dict[str, Any]:
    return {name: _value(text) for name, text in run.data.params.items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
