"""An evaluation as an MLflow run: its numbers under the names that trials have, and the page for people."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hbt_ray.storage import json_text
from hbt_ray.terminal import say
from hbt_ray.tracking.artifacts import log_matrix
from hbt_ray.tracking.handle import RunLog

if TYPE_CHECKING:
    from hbt_ray.evaluation.evaluate import Evaluation

REPORT_PATH = "report.html"


def record_evaluations(
    uri: str, experiment: str, names: Sequence[str], evaluations: Sequence[Evaluation], page: str
) -> None:
    """One MLflow run a model, with all its sets; says the ids of the runs and how to open MLflow."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # read when MLflow is imported
    from hbt_ray.tracking.runs import RunStore
    from hbt_ray.tracking.uri import ui_command
    from hbt_ray.tracking.writer import RunWriter

    log = RunWriter(RunStore(uri, experiment))
    keys = [f"evaluation/{uuid.uuid4().hex[:12]}" for _ in names]
    for name, key in zip(names, keys, strict=True):
        log.start_run(key, f"evaluation of {name}", {"hbt.kind": "evaluation"})
        for evaluation in evaluations:
            if evaluation.model == name:
                log_evaluation(log, key, evaluation, page)
        log.finish_run(key, "finished")
    if not log.close():
        say(f"warning: not everything could be written to {uri}")
    for key in keys:
        say(f"run id  {log.run_id(key)}")
    say(f"MLflow  {ui_command(uri)}")


def log_evaluation(log: RunLog, key: str, evaluation: Evaluation, report_html: str) -> None:
    """Record one model on one set in the run `key`, which has been started.

    Metrics, all at step 0, of a set named S: `S/mono_map` and the other headline numbers, the macro means of
    the standard metrics such as `S/pool_ndcg10`, and the ends of the intervals as `S/mono_map_low`, `_high`.
    Parameters: `model`, and the settings as `S.<name>`. Artifacts: `report.html`, `S/scores.json` as trials
    have it with the intervals added, and `S/map_matrix.png` and `.json`. A run can hold several sets.
    """
    scores = evaluation.scores
    numbers: dict[str, Any] = {**scores.headline(), **scores.standard.means()}
    for row in evaluation.intervals:
        numbers |= {f"{row.metric}_low": row.low, f"{row.metric}_high": row.high}
    log.log_params(key, {"model": evaluation.model, scores.name: dict(evaluation.settings)})
    log.log_metrics(key, [{"step": 0, **{f"{scores.name}/{name}": value for name, value in numbers.items()}}])
    log.log_artifact_text(key, REPORT_PATH, report_html)
    intervals = {row.metric: [row.low, row.high] for row in evaluation.intervals}
    log.log_artifact_text(key, f"{scores.name}/scores.json", json_text({**scores.to_json(), "intervals": intervals}))
    log_matrix(log, key, scores, evaluation.model)
