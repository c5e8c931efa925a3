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
from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_from_bytes
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.study.analysis import StudyAnalysis
from hbt_ray.study.trials import Trial


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredRun:
    """A run with its scores."""

    run_id: str
    label: str
    scores: Mapping[str, Scores]
    """Set -> scores."""
    digests: Mapping[str, str]
    """Set -> digest, of those that the run names as datasets."""


def chosen_trial(analysis: StudyAnalysis, run_id: str = "") -> tuple[Trial, str]:
    """The trial that is to ship, and why it: that of `run_id`, else the recommended point's best seed.

    Raises:
        ConfigError: no such finished trial in the study, or nothing is recommended.
    """
    finished = {trial.run_id: trial for trial in analysis.study.finished}
    if run_id:
        if run_id not in finished:
            known = ", ".join(f"{each} ({trial.label})" for each, trial in finished.items())
            raise ConfigError(
                f"run {run_id!r} is no finished trial of study {analysis.study.name!r}; these are: {known}"
            )
        return finished[run_id], "asked for by --run"
    if analysis.recommended is None:
        raise ConfigError(f"study {analysis.study.name!r} recommends nothing; name a trial with --run RUN_ID")
    metric = f"{analysis.main.on_set.name}/{analysis.target}"
    sign = -1 if analysis.target in LOWER_IS_BETTER else 1
    trials = analysis.recommended.trials
    best = max(trials, key=lambda trial: sign * trial.metrics[metric])
    of_seeds = f", the best of its {len(trials)} seeds in {metric}" if len(trials) > 1 else ""
    return best, f"of the recommended point{of_seeds}"


def read_scored(client: MlflowClient, run_id: str, label: str, sets: Sequence[str]) -> ScoredRun:
    """A run with its scores on `sets`.

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
                known = sorted({metric.split("/")[0] for metric in run.data.metrics if metric.endswith("/pool_map")})
                raise ConfigError(
                    f"{label} (run {run_id}) has no scores by question on {name!r} (artifact {path}); it was scored on "
                    f"{', '.join(known) or 'nothing'}. Choose sets with --set"
                ) from None
            scores[name] = scores_from_bytes(content, f"{path} of run {run_id} ({label})")
    return ScoredRun(run_id=run_id, label=label, scores=scores, digests=_digests(run))


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


def _digests(run: Run) -> dict[str, str]:
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return {
        each.dataset.name: each.dataset.digest
        for each in inputs
        if any(tag.key == MLFLOW_DATASET_CONTEXT and tag.value == "evaluation" for tag in each.tags)
    }
