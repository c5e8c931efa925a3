"""Reads a study from MLflow alone: from a database or a server, wherever its trials ran."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from hbt_ray.config.tune import ClaimConfig
from hbt_ray.errors import ClusterError, ConfigError, one_line
from hbt_ray.study.points import SEED, TrialSpec, allows
from hbt_ray.study.trials import BASELINE_TAG, CONTROLS_TAG, NO_MIX, StudyData, Trial, TrialStatus
from hbt_ray.tracking.handle import ERROR_TAG
from hbt_ray.tracking.naming import flatten_params
from hbt_ray.tracking.runs import EARLY_STOPPED_TAG
from hbt_ray.tracking.uri import check_tracking, sqlite_path

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
SETTINGS = "config/resolved.json"
"""Artifact of a study's run: its settings, nested, as they were in its latest command."""
UNKNOWN_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
PAGE = 1000

IsOutside = Callable[[str, Mapping[str, Any]], bool]
"""(baseline or "", values of a trial) -> whether it is a control."""


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


def read_study(tracking_uri: str, experiment: str, name: str, run_id: str = "") -> StudyData:
    """The newest study called `name`; with `run_id`, the one that has this run, as its own or as that of a trial.

    Raises:
        ConfigError: no such experiment, study or run; names those that are there.
        ClusterError: the store does not answer, or stops answering.
    """
    client = open_client(tracking_uri)
    try:
        parents = _studies(client, experiment)
        named = [run for run in parents if run.data.tags.get("hbt.study") == name]
        if not named:
            known = ", ".join(sorted({run.data.tags.get("hbt.study", "") for run in parents})) or "none"
            raise ConfigError(f"study {name!r} is not in experiment {experiment!r} of {tracking_uri}; there: {known}")
        parent = _with_run(client, named, name, run_id) if run_id else named[0]
        children = _search(client, [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    except MlflowException as error:
        raise store_error(tracking_uri, error) from error
    settings = read_settings(client, str(parent.info.run_id))
    config = _values(flatten_params(settings) if settings else parent.data.params)
    runs = [run for run in reversed(children) if run.data.tags.get("hbt.kind") == "trial"]
    metric = config.get("tune.metric", "dev/pool_map")
    trials = _trials(runs, config, _is_outside(parent, settings, config))
    kept = _one_a_seed(trials)
    notes = []
    if len(named) > 1:
        which = "is the newest" if parent is named[0] else "is not the newest"
        others = ", ".join(str(run.info.run_id) for run in named if run is not parent)
        notes.append(f"{len(named)} studies are called {name}; this one, run {parent.info.run_id}, {which} ({others}).")
    if len(kept) < len(trials):
        notes.append(f"{len(trials) - len(kept)} trials are left out: a later one has the same point and seed.")
    return StudyData(
        name=name,
        run_id=str(parent.info.run_id),
        tracking_uri=tracking_uri,
        trials=tuple(kept),
        metric=str(metric[0] if isinstance(metric, list) else metric),
        config=config,
        claims=tuple(ClaimConfig(**claim) for claim in (settings or {}).get("tune", {}).get("claims", ())),
        notes=tuple(notes),
    )


def read_settings(client: MlflowClient, run_id: str) -> dict[str, Any] | None:
    """The settings that a study was last run with, nested as in a recipe; None where they cannot be read.

    Parameters of a run never change in MLflow, so they are those of the study's first command.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            if SETTINGS not in {
                item.path for item in client.list_artifacts(run_id, PurePosixPath(SETTINGS).parent.name)
            }:
                return None
            tree = json.loads(Path(client.download_artifacts(run_id, SETTINGS, scratch)).read_text(encoding="utf-8"))
            return tree if isinstance(tree, dict) else None
    except (MlflowException, OSError, ValueError):
        return None


def store_error(tracking_uri: str, error: Exception) -> ClusterError:
    """A store that stopped answering, in one line."""
    return ClusterError(f"tracking URI {tracking_uri!r}: the store does not answer as it should ({one_line(error)})")


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


def _with_run(client: MlflowClient, named: Sequence[Run], name: str, run_id: str) -> Run:
    """The study among `named` that has a run."""
    by_id = {str(run.info.run_id): run for run in named}
    if run_id in by_id:
        return by_id[run_id]
    try:
        parent = client.get_run(run_id).data.tags.get("mlflow.parentRunId", "")
    except MlflowException as error:
        if error.error_code not in UNKNOWN_RUN:
            raise
        parent = ""
    if parent not in by_id:
        known = ", ".join(by_id)
        raise ConfigError(f"run {run_id!r} is no study called {name!r}, and no trial of one; studies: {known}")
    return by_id[parent]


def _is_outside(parent: Run, settings: Mapping[str, Any] | None, config: Mapping[str, Any]) -> IsOutside:
    """Tells of a baseline's trial, from its values, whether it lies outside of the search space as that is now."""
    told = {name for name in parent.data.tags.get(CONTROLS_TAG, "").split(",") if name}
    space = (settings or {}).get("tune", {}).get("space")

    def is_outside(baseline: str, values: Mapping[str, Any]) -> bool:
        if not baseline or baseline in NO_MIX or space is None:
            return baseline in NO_MIX or baseline in told
        for name in {*space, *(name for name in values if _decides(name) and name in config)}:
            value = values.get(name)
            if not (allows(space[name], value) if name in space else value == config[name]):
                return True
        return False

    return is_outside


def _decides(name: str) -> bool:
    """Whether a field can tell points apart."""
    return name.partition(".")[0] in SECTIONS and name != SEED and name not in FOLLOWS


def _trials(runs: Sequence[Run], config: Mapping[str, Any], is_outside: IsOutside) -> list[Trial]:
    values = [_values(run.data.params) for run in runs]
    baselines = [run.data.tags.get(BASELINE_TAG, "") for run in runs]
    outside = [is_outside(name, found) for name, found in zip(baselines, values, strict=True)]
    # A searcher's range is tune.space.SECTION.FIELD.low and so on; its field is what the trials differ in.
    space = {".".join(name.split(".")[2:4]) for name in config if name.startswith("tune.space.")}
    of_search = [found for found, is_control in zip(values, outside, strict=True) if not is_control]
    fields = {name for found in of_search for name in found if name.partition(".")[0] in SECTIONS} - {SEED}
    told = [name for name in fields if _decides(name)]
    differ = {name for name in told if len({json.dumps(found.get(name)) for found in of_search}) > 1}
    varied = sorted(differ | {name for name in space if name.partition(".")[0] in SECTIONS})
    trials = []
    for run, settings, baseline, is_control in zip(runs, values, baselines, outside, strict=True):
        tags = run.data.tags
        status: TrialStatus = "stopped" if EARLY_STOPPED_TAG in tags else STATUS[run.info.status]
        point = {name: settings.get(name) for name in varied if _has(baseline, name)}
        trials.append(
            Trial(
                spec=TrialSpec.of(point, int(tags.get("hbt.seed", settings.get(SEED, 0)))),
                status=status,
                step=0,
                metrics={name: value for name, value in run.data.metrics.items() if math.isfinite(value)},
                error=tags.get(ERROR_TAG, "") if status == "failed" else "",
                run_id=str(run.info.run_id),
                title=str(run.info.run_name),
                config=settings,
                baseline=baseline,
                is_control=is_control,
            )
        )
    return trials


def _has(baseline: str, field: str) -> bool:
    """Whether a field says something of a trial: plans do not of one that stands for no mix, none of no steps does."""
    return baseline != "untrained" and not (baseline in NO_MIX and field.startswith("plan."))


def _one_a_seed(trials: Sequence[Trial]) -> list[Trial]:
    """One trial for each point and seed: the newest that finished, else the newest."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        identity = [trial.baseline if trial.is_control else "", dict(trial.point), trial.seed]
        groups.setdefault(json.dumps(identity, sort_keys=True), []).append(trial)
    chosen = {([t for t in group if t.status == "finished"] or group)[-1].run_id for group in groups.values()}
    return [trial for trial in trials if trial.run_id in chosen]


def _values(params: Mapping[str, str]) -> dict[str, Any]:
    return {name: _value(text) for name, text in params.items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
