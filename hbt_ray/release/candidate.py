"""A trained model as a release sees it: its run, and its scores on the sets that decide, by question."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from hbt_ray.config.headline import LOWER_IS_BETTER
from hbt_ray.errors import ConfigError
from hbt_ray.records import read_run
from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_from_bytes
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.study.analysis import StudyAnalysis
from hbt_ray.study.trials import Trial
from hbt_ray.training.artifacts import recorded_scores


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredRun:
    """A run with its scores."""

    label: str
    scores: Mapping[str, Scores]
    """Set -> scores."""
    digests: Mapping[str, str]
    """Set -> digest, of those that the run names as datasets."""


def chosen_trial(analysis: StudyAnalysis, name: str = "") -> tuple[Trial, str]:
    """The trial that is to ship, and why it: that of the directory `name`, else the recommended point's best seed.

    Raises:
        ConfigError: no such finished trial in the study, or nothing is recommended.
    """
    finished = {trial.name: trial for trial in analysis.study.finished}
    if name:
        if name not in finished:
            known = ", ".join(finished)
            raise ConfigError(f"{name!r} is no finished trial of study {analysis.study.name!r}; these are: {known}")
        return finished[name], "asked for by --trial"
    if analysis.recommended is None or analysis.decision is None:
        raise ConfigError(f"study {analysis.study.name!r} recommends nothing; name a trial with --trial NAME")
    on_set = analysis.main.on_set
    target = analysis.target if analysis.target in on_set.metrics else next(iter(analysis.decision.weights))
    metric, column = f"{on_set.name}/{target}", on_set.at(target)
    sign = -1 if target in LOWER_IS_BETTER else 1
    trials = analysis.recommended.trials
    best = trials[int((sign * analysis.recommended.numbers[:, column]).argmax())]
    of_seeds = f", the best of its {len(trials)} seeds in {metric}" if len(trials) > 1 else ""
    return best, f"of the recommended point{of_seeds}"


def scored_trial(trial: Trial, label: str, sets: Sequence[str]) -> ScoredRun:
    """A trial with its scores on `sets`, as it recorded them.

    Raises:
        ConfigError: it was not scored on a set.
        EvaluationError: a file is damaged.
    """
    scores = {}
    for name in sets:
        if (read := recorded_scores(trial.directory, name)) is None:
            raise ConfigError(_unscored(label, trial.directory, name, trial.metrics))
        scores[name] = read
    datasets = read_run(trial.directory).datasets
    digests = {each["name"]: each["digest"] for each in datasets if each["context"] == "evaluation"}
    return ScoredRun(label=label, scores=scores, digests=digests)


def scored_run(client: MlflowClient, run_id: str, label: str, sets: Sequence[str]) -> ScoredRun:
    """A run of any study, which may be on another machine, with its scores on `sets` as MLflow has them.

    Raises:
        ConfigError: there is no such run, or it was not scored by question on a set.
        EvaluationError: an artifact is damaged.
    """
    try:
        run = client.get_run(run_id)
    except MlflowException:
        raise ConfigError(f"run {run_id} ({label}) is not in the tracking store: was it deleted?") from None
    scores = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in sets:
            path = f"{name}/{FILE_NAME}"
            try:
                content = Path(client.download_artifacts(run_id, path, scratch)).read_bytes()
            except (MlflowException, OSError):
                raise ConfigError(_unscored(label, f"run {run_id}", name, run.data.metrics)) from None
            scores[name] = scores_from_bytes(content, f"{path} of run {run_id} ({label})")
    return ScoredRun(label=label, scores=scores, digests=_digests(run))


def check_same_sets(candidate: ScoredRun, champion: ScoredRun) -> None:
    """ConfigError where the two were scored on sets of one name and other contents.

    A set is known by the digest that runs record; where one has none, the questions are compared (`check_gates`).
    """
    for name in candidate.scores:
        ours, theirs = candidate.digests.get(name), champion.digests.get(name)
        if ours and theirs and ours != theirs:
            raise ConfigError(
                f"{name} is not the same set for {candidate.label} (digest {ours}) and {champion.label} (digest "
                f"{theirs}), so their scores cannot be compared: decide on a set that both were scored on (--set), let "
                "another registered model have a champion of its own (gates.model=NAME), or leave out the comparison "
                "(gates.max_loss_per_language=null gates.no_loss_in=[])"
            )


def _unscored(label: str, place: str, name: str, metrics: Mapping[str, float]) -> str:
    known = sorted({metric.split("/")[0] for metric in metrics if metric.endswith("/pool_map")})
    return (
        f"{label} ({place}) has no scores by question on {name!r}; it was scored on "
        f"{', '.join(known) or 'nothing'}. Choose sets with --set"
    )


def _digests(run: Run) -> dict[str, str]:
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return {
        each.dataset.name: each.dataset.digest
        for each in inputs
        if any(tag.key == MLFLOW_DATASET_CONTEXT and tag.value == "evaluation" for tag in each.tags)
    }
