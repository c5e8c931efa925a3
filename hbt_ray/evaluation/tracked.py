"""An evaluation as an MLflow run: its numbers under the names that trials have, and the page for people."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hbt_ray.records import RunRecords
from hbt_ray.storage import json_text
from hbt_ray.terminal import say
from hbt_ray.training.artifacts import record_matrix

if TYPE_CHECKING:
    from hbt_ray.evaluation.evaluate import Evaluation

REPORT_PATH = "report.html"


def record_evaluations(
    uri: str, experiment: str, names: Sequence[str], evaluations: Sequence[Evaluation], page: str, out: str
) -> None:
    """One run a model, with all its sets, in `out/model-N` and in MLflow; says the ids of the runs."""
    for name, value in (("MLFLOW_LOGGING_LEVEL", "WARNING"), ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")):
        os.environ.setdefault(name, value)  # read when MLflow is imported
    from hbt_ray.tracking.mirror import mirror_now
    from hbt_ray.tracking.runs import RunStore
    from hbt_ray.tracking.uri import store_error, ui_command

    keys = [f"evaluation/{uuid.uuid4().hex[:12]}" for _ in names]
    for number, (name, key) in enumerate(zip(names, keys, strict=True)):
        records = RunRecords(f"{out}/model-{number}")
        records.start(key, f"evaluation of {name}", tags={"hbt.kind": "evaluation"}, settings={})
        for evaluation in evaluations:
            if evaluation.model == name:
                record_evaluation(records, evaluation, page)
        records.end("finished")
    try:
        mirror_now(uri, experiment, out, out)
        for key in keys:
            say(f"run id  {RunStore(uri, experiment).find(key)}")
    except Exception as error:  # of MLflow, which is not imported for a name
        say(f"warning: {store_error(uri, error)}; the scores are in {out}")
    say(f"MLflow  {ui_command(uri)}")


def record_evaluation(records: RunRecords, evaluation: Evaluation, report_html: str) -> None:
    """Record one model on one set in a run that has been started.

    Metrics, all at step 0, of a set named S: `S/mono_map` and the other headline numbers, the macro means of
    the standard metrics such as `S/pool_ndcg10`, and the ends of the intervals as `S/mono_map_low`, `_high`.
    Parameters: `model`, and the settings as `S.<name>`. Artifacts: `report.html`, `S/scores.json` as trials
    have it with the intervals added, and `S/map_matrix.png` and `.json`. A run can hold several sets.
    """
    scores = evaluation.scores
    numbers: dict[str, Any] = {**scores.headline(), **scores.standard.means()}
    for row in evaluation.intervals:
        numbers |= {f"{row.metric}_low": row.low, f"{row.metric}_high": row.high}
    records.params({"model": evaluation.model, scores.name: dict(evaluation.settings)})
    records.metrics(0, {f"{scores.name}/{name}": value for name, value in numbers.items()})
    records.file(REPORT_PATH, report_html)
    intervals = {row.metric: [row.low, row.high] for row in evaluation.intervals}
    records.file(f"{scores.name}/scores.json", json_text({**scores.to_json(), "intervals": intervals}))
    record_matrix(records, scores, evaluation.model)
