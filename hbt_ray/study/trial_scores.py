"""Reads what trials scored on a set, by question where it was recorded, else by language only."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mlflow.artifacts
import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_from_bytes
from hbt_ray.study.mlflow_reader import store_error
from hbt_ray.study.trials import StudyData, Trial, TrialScores, from_scores

SUMMARY = "scores.json"


def read_trial_scores(study: StudyData, trials: Sequence[Trial], name: str) -> dict[str, TrialScores]:
    """Run id -> scores on set `name`, of the trials that have any.

    Raises:
        ClusterError: the store does not answer, or an artifact cannot be fetched.
        EvaluationError: an artifact is damaged.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # small files: a bar for each is noise
    client = MlflowClient(tracking_uri=study.tracking_uri)
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        for trial in trials:
            try:
                there = {item.path for item in client.list_artifacts(trial.run_id, name)}
                if f"{name}/{FILE_NAME}" in there:
                    content = _fetch(study, trial, f"{name}/{FILE_NAME}", directory)
                    found[trial.run_id] = from_scores(scores_from_bytes(content, _named(trial, name, FILE_NAME)))
                elif f"{name}/{SUMMARY}" in there:
                    content = _fetch(study, trial, f"{name}/{SUMMARY}", directory)
                    found[trial.run_id] = _from_summary(content, _named(trial, name, SUMMARY))
            except MlflowException as error:
                raise store_error(study.tracking_uri, error) from error
    return found


def _fetch(study: StudyData, trial: Trial, path: str, directory: str) -> bytes:
    local = mlflow.artifacts.download_artifacts(
        run_id=trial.run_id,
        artifact_path=path,
        dst_path=f"{directory}/{trial.run_id}",
        tracking_uri=study.tracking_uri,
    )
    return Path(local).read_bytes()


def _from_summary(content: bytes, source: str) -> TrialScores:
    try:
        tree = json.loads(content)
        matrix, pool = (np.array(tree[key], dtype=np.float64) for key in ("map_matrix", "pool_map"))
        return TrialScores(langs=tuple(tree["langs"]), mono_map=np.diagonal(matrix), pool_map=pool, scores=None)
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{source} is not a summary of scores ({error!r}); delete the artifact.") from None


def _named(trial: Trial, name: str, file: str) -> str:
    return f"{name}/{file} of run {trial.run_id} ({trial.label})"
