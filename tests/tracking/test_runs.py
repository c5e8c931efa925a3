"""`RunStore` against a real MLflow store in a temporary SQLite file."""

import json
import math
from pathlib import Path

import pytest
from mlflow import MlflowClient

from hbt_ray.kit.figures import figure_png
from hbt_ray.kit.matrix import matrix_figure
from hbt_ray.tracking.runs import EARLY_STOPPED_TAG, KEY_TAG, NONFINITE_TAG, RunStore
from hbt_ray.tracking.uri import resolve_tracking_uri


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return resolve_tracking_uri("", tmp_path_factory.mktemp("study"))


@pytest.fixture
def store(uri, request, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return RunStore(uri, request.node.name)


@pytest.fixture
def client(uri):
    return MlflowClient(tracking_uri=uri)


def restarted(store):
    """What a driver or trial that starts again sees: the store, and nothing in memory."""
    return RunStore(store.tracking_uri, store.experiment)


def point(step, **values):
    """A record of metrics."""
    return {"kind": "metrics", "time_ms": 1_700_000_000_000 + step, "step": step, "values": values}


def steps(client, run_id, name):
    return [(m.step, m.value) for m in client.get_metric_history(run_id, name)]


def test_a_key_is_one_run_whoever_asks(store, client):
    study = store.get_or_create("s", "study s", {"hbt.study": "s"})
    trial = store.get_or_create("s/t0", "alpha 0.5, seed 1", {"hbt.alpha": "0.5"}, parent=study)
    again = restarted(store)
    assert again.get_or_create("s/t0", "alpha 0.5, seed 1", {"hbt.alpha": "0.5"}, parent=study) == trial
    assert again.get_or_create("s", "study s", {}) == study
    assert again.find("s/t1") is None
    run = client.get_run(trial)
    assert run.info.run_name == "alpha 0.5, seed 1"
    assert run.data.tags["mlflow.parentRunId"] == study
    assert run.data.tags["mlflow.source.name"] == "hbt_ray"
    assert run.data.tags[KEY_TAG] == "s/t0"
    assert len(client.search_runs([run.info.experiment_id])) == 2


def test_keys_with_quotes_are_refused(store):
    with pytest.raises(ValueError, match="rename the study"):
        store.get_or_create("it's", "x", {})


def test_params_are_flat_and_never_logged_twice_with_another_value(store, client):
    run_id = store.get_or_create("k", "k", {})
    settings = {"mix": {"alpha": 0.5, "langs": ["de", "hi"]}, "note": "x" * 9000, "off": None, "empty": {}}
    store.log_params(run_id, settings)
    store.log_params(run_id, {f"p{i:03d}": i for i in range(130)})
    restarted(store).log_params(run_id, {"mix": {"alpha": 0.25, "langs": ["de", "hi"]}, "late": True})
    data = client.get_run(run_id).data
    assert data.params["mix.alpha"] == "0.5"
    assert data.params["mix.langs"] == '["de", "hi"]'
    assert (data.params["empty"], data.params["late"]) == ("{}", "true")
    assert "off" not in data.params  # a text among numbers would not sort
    assert len(data.params["note"]) == 6000
    assert sum(name.startswith("p0") or name.startswith("p1") for name in data.params) == 130
    conflicts = {k: v for k, v in data.tags.items() if "conflict" in k}
    assert conflicts == {"hbt.param_conflict.mix.alpha": "0.25"}


def test_params_of_any_script_at_the_limits_fit_the_requests(store, client):
    run_id = store.get_or_create("k", "k", {})
    store.log_params(run_id, {f"p{i}": "न" * 6000 for i in range(30)})
    assert len(client.get_run(run_id).data.params) == 30


def test_metrics_go_in_once_per_step_even_after_a_restart(store, client):
    run_id = store.get_or_create("k", "k", {})
    store.log_metrics(run_id, [point(s, **{"loss": 1.0 / s, "dev/recall@10": 0.1}) for s in range(1, 1301)])
    resumed = restarted(store)
    resumed.get_or_create("k", "k", {})
    resumed.log_metrics(run_id, [point(s, loss=9.0) for s in range(1295, 1304)])
    expected = [(s, 1.0 / s) for s in range(1, 1301)] + [(s, 9.0) for s in range(1301, 1304)]
    assert steps(client, run_id, "loss") == expected
    assert len(steps(client, run_id, "dev/recall_at_10")) == 1300


def test_a_request_that_is_repeated_leaves_no_duplicates(store, client):
    """The store took it, the answer was lost: the same records come again from a store without memory."""
    run_id = store.get_or_create("k", "k", {})
    rows = [point(s, loss=0.5) for s in range(3)]
    store.log_metrics(run_id, rows)
    store._steps.clear()
    store.log_metrics(run_id, rows)
    assert steps(client, run_id, "loss") == [(0, 0.5), (1, 0.5), (2, 0.5)]


def test_values_that_are_not_finite_are_counted_and_left_out(store, client):
    run_id = store.get_or_create("k", "k", {})
    store.log_metrics(run_id, [point(1, loss=None, lr=0.1), point(2, loss=math.inf, lr=None)])
    assert steps(client, run_id, "loss") == []
    assert steps(client, run_id, "lr") == [(1, 0.1)]
    assert client.get_run(run_id).data.tags[NONFINITE_TAG] == "3"


@pytest.mark.parametrize(
    ("status", "shown", "stopped"),
    [
        ("finished", "FINISHED", None),
        ("stopped", "FINISHED", "true"),
        ("failed", "FAILED", None),
        ("killed", "KILLED", None),
    ],
)
def test_end_status_and_resume(store, client, status, shown, stopped):
    run_id = store.get_or_create("k", "k", {})
    store.finish(run_id, status, {"hbt.reason": "because", "hbt.error": "the loss is NaN"})
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags.get(EARLY_STOPPED_TAG)) == (shown, stopped)
    assert run.data.tags["hbt.reason"] == "because"
    assert restarted(store).get_or_create("k", "k", {}) == run_id
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags.get(EARLY_STOPPED_TAG)) == ("RUNNING", None)
    assert "hbt.error" not in run.data.tags  # it may yet finish
    assert run.data.tags["hbt.reason"] == "because"


def test_artifacts_lie_beside_the_database(store, client, uri, matrix):
    run_id = store.get_or_create("k", "k", {})
    store.log_bytes(run_id, "config/resolved.yaml", "alpha: 0.5 # भाषा\n".encode())
    store.log_bytes(run_id, "matrix.json", json.dumps({"langs": ["de", "hi"], "map": matrix.tolist()}).encode())
    store.log_bytes(run_id, "matrix.png", figure_png(matrix_figure(["de", "hi"], matrix, "mAP")))
    assert {f.path for f in client.list_artifacts(run_id)} == {"config", "matrix.json", "matrix.png"}
    root = client.get_run(run_id).info.artifact_uri
    assert root.startswith("file:///")
    assert "/mlartifacts/" in root
    fetched = {name: Path(client.download_artifacts(run_id, name)) for name in ("matrix.json", "matrix.png")}
    assert json.loads(fetched["matrix.json"].read_text())["langs"] == ["de", "hi"]
    assert fetched["matrix.png"].read_bytes()[1:4] == b"PNG"
    resolved = Path(client.download_artifacts(run_id, "config/resolved.yaml"))
    assert resolved.read_text(encoding="utf-8") == "alpha: 0.5 # भाषा\n"
