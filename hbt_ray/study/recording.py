"""The run of a trial in the tracking store: how it begins, and what it is made whole from where records were lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from hbt_ray.errors import EvaluationError
from hbt_ray.study.baselines import baseline_of
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.trials import BASELINE_TAG, NO_MIX, Trial, TrialStatus, scored_sets
from hbt_ray.tracking.artifacts import LOCATION, log_config, log_scores
from hbt_ray.tracking.handle import END_STATUS, ERROR_TAG, EndStatus, Recorded, RunLog
from hbt_ray.tracking.naming import metric_name
from hbt_ray.training.run import has_scores, kept_scores

if TYPE_CHECKING:
    from hbt_ray.study.study import Study

ENDS: dict[TrialStatus, EndStatus] = {"finished": "finished", "stopped": "early_stopped", "failed": "failed"}
"""How a trial ended -> how its run ends."""


def log_trial(log: RunLog, study: Study, spec: TrialSpec) -> None:
    """Begin a trial's run in the tracking store, with what it is and all its settings."""
    recipe, key = spec.recipe(study.recipe), study.trial_key(spec)
    tags = {"hbt.kind": "trial", "hbt.study": study.recipe.name, "hbt.seed": str(spec.seed), "hbt.trial": spec.name}
    settings = recipe.resolved()
    name = baseline_of(spec, study.recipe)
    if name:
        tags[BASELINE_TAG] = name
    if name not in NO_MIX:
        tags["hbt.alpha"] = f"{recipe.plan.alpha:g}"
    if not recipe.train.steps:
        del settings["plan"]  # there were no batches, so nobody should sort this run by alpha
    log.start_run(key, spec.label, tags, study.key)
    log_config(log, key, settings)
    log.log_datasets(key, study.experiment.datasets)


def log_end(log: RunLog, key: str, result: Trial) -> None:
    """End the run of a trial as its result says."""
    tags = {ERROR_TAG: result.error[:250]} if result.status == "failed" else None
    log.finish_run(key, ENDS[result.status], tags)


def mend_runs(study: Study, results: Iterable[Trial], report: Callable[[str], None]) -> None:
    """Record again what the store lacks of trials that have ended: a driver may be killed before it has sent it all.

    A run that is whole is left alone. What is asked of the store is how each run ended, which metrics and which
    artifacts it has; where it does not answer, nothing is mended now.
    """
    by_key = {study.trial_key(result.spec): result for result in results}
    if not by_key:
        return
    study.log.flush()
    found = study.log.recorded({key: scored_sets([result]) for key, result in by_key.items()})
    if found is None:
        report("note: MLflow does not answer; the runs of trials that have ended were not looked at")
        return
    mended = [result for key, result in by_key.items() if _lacks(study, result, found.get(key))]
    for result in mended:
        _log_again(study, result, report)
    if mended:
        report(f"MLflow: {len(mended)} runs of trials that have ended were not whole, and are recorded again")


def _lacks(study: Study, result: Trial, found: Recorded | None) -> bool:
    """Whether the store is without something that can be given to it."""
    from hbt_ray.retrieval.scoring.saved import FILE_NAME

    if found is None or found.status != END_STATUS[ENDS[result.status]]:
        return True
    if found.early_stopped != (result.status == "stopped"):
        return True
    wanted = {metric_name(name) for name, value in result.metrics.items() if math.isfinite(value)}
    files = {f"{name}/{FILE_NAME}" for name in _kept(study, result)} | ({LOCATION} if result.model else set())
    return not (wanted <= found.metrics and files <= found.artifacts)


def _log_again(study: Study, result: Trial, report: Callable[[str], None]) -> None:
    key, log = study.trial_key(result.spec), study.log
    log_trial(log, study, result.spec)
    if result.metrics:
        log.log_metrics(key, [{"step": result.step, **result.metrics}])
    if result.model:
        log.log_artifact_text(key, LOCATION, result.model + "\n")
    for name in _kept(study, result):
        try:
            scores = kept_scores(study.directory.of_trial(result.spec), name)
        except EvaluationError as error:
            report(f"note: {error}")
        else:
            if scores is not None:
                log_scores(log, key, scores, result.spec.name)
    log_end(log, key, result)


def _kept(study: Study, result: Trial) -> list[str]:
    """Sets of which a trial that ran to its end has kept its scores."""
    if result.status != "finished":
        return []
    return [name for name in scored_sets([result]) if has_scores(study.directory.of_trial(result.spec), name)]
