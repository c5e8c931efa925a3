"""An evaluation, read back from a real store."""

import json
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from hbt_ray.evaluation.evaluate import Evaluation
from hbt_ray.evaluation.tracked import record_evaluation
from hbt_ray.records import RunRecords
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.significance import intervals
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.tracking.mirror import mirror_now
from hbt_ray.tracking.runs import RunStore
from tests.mlflow_store import fresh_store


def evaluation(name, seed):
    rng = np.random.default_rng(seed)
    rs = parallel_set(name, ("de", "en", "hi"), np.ones((8, 3), dtype=bool))
    scores = score(rs, *rng.standard_normal((2, rs.num_queries, 4)).astype(np.float32))
    settings = {"precision": "fp32", "max_query_tokens": 256, "seed": seed}
    return Evaluation(model="m", scores=scores, settings=settings, intervals=tuple(intervals(scores)))


def test_two_sets_of_one_run_can_be_read_back(tmp_path):
    uri = fresh_store(tmp_path)
    records = RunRecords(str(tmp_path / "out"))
    records.start("k", "k", tags={}, settings={})
    found = [evaluation("one", 1), evaluation("two", 2)]
    for each in found:
        record_evaluation(records, each, "<p>हिन्दी</p>")
    assert mirror_now(uri, "x", str(tmp_path / "out"), str(tmp_path))
    client, run_id = MlflowClient(tracking_uri=uri), RunStore(uri, "x").find("k")
    run = client.get_run(run_id)
    for each in found:
        name, scores = each.scores.name, each.scores
        expected = {**scores.headline(), **scores.standard.means()}
        for interval in each.intervals:
            expected |= {f"{interval.metric}_low": interval.low, f"{interval.metric}_high": interval.high}
        logged = {key.partition("/")[2]: value for key, value in run.data.metrics.items() if key.startswith(f"{name}/")}
        assert logged == pytest.approx(expected)
        assert run.data.params[f"{name}.precision"] == "fp32"
        assert run.data.params[f"{name}.seed"] == str(each.settings["seed"])
        kept = json.loads(Path(client.download_artifacts(run_id, f"{name}/scores.json")).read_text())
        plain = json.loads(json.dumps(scores.to_json()))
        assert {key: kept[key] for key in plain} == plain
        assert kept["intervals"]["mono_map"] == [each.intervals[0].low, each.intervals[0].high]
        matrix = json.loads(Path(client.download_artifacts(run_id, f"{name}/map_matrix.json")).read_text())
        np.testing.assert_allclose(matrix["values"], scores.map_matrix)
        png = Path(client.download_artifacts(run_id, f"{name}/map_matrix.png")).read_bytes()
        assert png.startswith(b"\x89PNG")
    assert run.data.params["model"] == "m"
    report = Path(client.download_artifacts(run_id, "report.html"))
    assert report.read_text(encoding="utf-8") == "<p>हिन्दी</p>"
