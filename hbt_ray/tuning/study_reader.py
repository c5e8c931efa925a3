"""Reads a study from MLflow alone: from a database or a server, wherever its trials ran."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from hbt_ray.errors import ClusterError, ConfigError
from hbt_ray.tracking.runs import EARLY_STOPPED_TAG
from hbt_ray.tracking.uri import check_tracking, sqlite_path
from hbt_ray.tuning.points import SEED
from hbt_ray.tuning.study_data import BASELINE_TAG, CONTROLS_TAG, StudyData, Trial, TrialStatus

STATUS: dict[str, TrialStatus] = {
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "killed",
    "RUNNING": "running",
    "SCHEDULED": "running",
}
SECTIONS = ("corpus", "plan", "model", "train")
"""Sections of a recipe that decide what a model becomes; trials that differ here are different points."""
FOLLOWS = ("train.steps", "train.eval_every", "train.checkpoint_every")
"""Fields that follow from the batch size at equal compute, and tell no points apart unless they are varied."""
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
    outside = {name for name in parent.data.tags.get(CONTROLS_TAG, "").split(",") if name}
    metric = config.get("tune.metric", "dev/multi_map")
    notes = []
    if len(named) > 1:
        notes.append(f"{len(named)} studies are called {name}; this is the newest, run {parent.info.run_id}.")
    return StudyData(
        name=name,
        run_id=str(parent.info.run_id),
        tracking_uri=tracking_uri,
        trials=tuple(_trials(runs, config, outside)),
        metric=str(metric[0] if isinstance(metric, list) else metric),
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


def _trials(runs: Sequence[Run], config: Mapping[str, Any], outside: Collection[str]) -> list[Trial]:
    values = [_values(run) for run in runs]
    baselines = [run.data.tags.get(BASELINE_TAG, "") for run in runs]
    space = {name.removeprefix("tune.space.") for name in config if name.startswith("tune.space.")}
    # A searcher's range is logged as tune.space.FIELD.low and so on; its field is what the trials differ in.
    of_search = [found for found, name in zip(values, baselines, strict=True) if name not in outside]
    fields = sorted({name for found in of_search for name in found if name.partition(".")[0] in SECTIONS} - {SEED})
    told = [name for name in fields if name not in FOLLOWS]
    varied = [name for name in told if len({json.dumps(found.get(name)) for found in of_search}) > 1]
    varied = sorted({*varied, *(name for name in fields if name in space)})
    trials = []
    for run, found, baseline in zip(runs, values, baselines, strict=True):
        tags = run.data.tags
        status: TrialStatus = "stopped" if EARLY_STOPPED_TAG in tags else STATUS[run.info.status]
        trials.append(
            Trial(
                run_id=str(run.info.run_id),
                label=str(run.info.run_name),
                point={name: found.get(name) for name in varied if baseline != "untrained"},
                seed=int(tags.get("hbt.seed", found.get(SEED, 0))),
                status=status,
                metrics={name: value for name, value in run.data.metrics.items() if math.isfinite(value)},
                config=found,
                error=tags.get("hbt.error", "") if status == "failed" else "",
                baseline=baseline,
                is_control=baseline in outside,
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
