"""The writer as an actor: workers in other processes record into one SQLite file through a pickled handle."""

import time

import pytest
from mlflow import MlflowClient

from hbt_ray.tracking.session import get_or_start_writer
from hbt_ray.tracking.uri import resolve_tracking_uri

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray


def test_many_workers_one_writer(ray_session, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = resolve_tracking_uri("", tmp_path)
    handle = get_or_start_writer(uri, "workers", "study-a")
    assert get_or_start_writer(uri, "workers", "study-a").actor == handle.actor
    handle.start_run("s", "study-a", {"hbt.study": "study-a"})

    @ray.remote(num_cpus=0)
    def trial(writer, number):
        key = f"s/{number}"
        writer.start_run(key, key, {"hbt.seed": str(number)}, "s")
        start = time.monotonic()
        for step in range(100):
            writer.log_metrics(key, [{"step": step, "loss": 1.0 / (step + 1)}])
        took = time.monotonic() - start
        writer.log_params(key, {"mix": {"alpha": number / 4}})
        writer.finish_run(key, "finished")
        return took, writer.run_id(key, 30.0), writer.flush(60.0)

    answers = ray.get([trial.remote(handle, number) for number in range(3)])
    assert max(took for took, _, _ in answers) < 2.0
    assert all(flushed for _, _, flushed in answers)
    client = MlflowClient(tracking_uri=uri)
    study = handle.run_id("s")
    for number, (_, run_id, _) in enumerate(answers):
        run = client.get_run(run_id)
        assert run.data.tags["mlflow.parentRunId"] == study
        assert run.data.params == {"mix.alpha": str(number / 4)}
        assert run.info.status == "FINISHED"
        assert [m.step for m in client.get_metric_history(run_id, "loss")] == list(range(100))
    assert handle.stats().num_dropped == 0
    handle.finish_run("s", "finished")
    assert handle.close(30.0)
    assert client.get_run(study).info.status == "FINISHED"


def test_a_server_that_is_down_does_not_hold_up_the_caller(ray_session):
    handle = get_or_start_writer("http://127.0.0.1:9", "nowhere", "study-b")
    start = time.monotonic()
    handle.start_run("s", "s")
    for step in range(200):
        handle.log_metrics("s", [{"step": step, "loss": 1.0}])
    assert time.monotonic() - start < 2.0
    assert not handle.flush(0.2)
    assert handle.stats().num_pending > 0
    assert not handle.close(0.2)
    handle.log_metrics("s", [{"step": 201, "loss": 1.0}])  # the actor is gone: not an error for a training
    assert not handle.flush(0.2)
