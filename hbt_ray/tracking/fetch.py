"""A study that another machine ran, brought into a workspace from MLflow."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from hbt_ray.errors import ConfigError
from hbt_ray.records import FOLDER, read_run
from hbt_ray.storage import write_whole
from hbt_ray.terminal import Report
from hbt_ray.tracking.runs import KEY_TAG, RunStore


def fetch_study(store: RunStore, run_id: str, workspace: str, report: Report) -> str:
    """Bring the study of an MLflow run, its own or that of a trial, into a workspace; the study's name.

    Records and files come along, models stay in MLflow.

    Raises:
        ConfigError: the run is of no study that has ended, or the workspace has a study of that name.
    """
    run = store.client.get_run(run_id)
    parent = store.client.get_run(run.data.tags.get(MLFLOW_PARENT_RUN_ID, run_id))
    name = parent.data.tags.get("hbt.study")
    if parent.data.tags.get("hbt.kind") != "study" or not name:
        raise ConfigError(f"run {run_id} is neither a study nor a trial of one")
    root = f"{workspace}/runs/{name}"
    if read_run(root).start:
        raise ConfigError(f"{root} has a study already: name another --workspace for that of run {run_id}")
    runs = store.children(str(parent.info.run_id))
    if not _fetch(store, str(parent.info.run_id), root):
        raise ConfigError(f"study {name} of run {run_id} has not ended, so MLflow has not all of its records yet")
    for key, child in runs.items():
        if not _fetch(store, child, f"{root}/{key.rsplit('/', 1)[-1]}"):
            report(f"note: {key} has not ended in MLflow, and was left out")
    report(f"study {name}: {len(runs)} trials of {parent.data.tags.get(KEY_TAG)} are in {root}")
    return name


def _fetch(store: RunStore, run_id: str, directory: str) -> bool:
    """Copy a run's files into `directory`; False where its records are not among them."""
    with tempfile.TemporaryDirectory() as scratch:
        if FOLDER not in {item.path for item in store.client.list_artifacts(run_id)}:
            return False
        local = Path(store.client.download_artifacts(run_id, "", scratch))
        for path in sorted(local.rglob("*")):
            if path.is_file():
                write_whole(f"{directory}/{path.relative_to(local).as_posix()}", path.read_bytes())
    return True
