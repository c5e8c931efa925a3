"""What a store did not take before the end of a job arrives with the next job."""

import logging

import pytest
from mlflow import MlflowClient

from hbt_ray.tracking import writer as writer_module
from hbt_ray.tracking.dataset_info import DatasetInfo
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.unsent import load_calls, save_calls
from hbt_ray.tracking.writer import RunWriter

DATASET = DatasetInfo(name="dev", digest="abc", context="evaluation", source="/data", profile={"num_items": 3})
WRITES = ("log_params", "log_metrics", "log_bytes", "log_datasets", "finish", "get_or_create", "find")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(writer_module, "FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(writer_module, "LONGEST_RETRY_S", 0.05)


class Down(RunStore):
    """A store that takes what comes before it goes away."""

    up = True

    def __getattribute__(self, name):
        if name in WRITES and not type(self).up:
            raise ConnectionError("refused")
        return super().__getattribute__(name)


def test_the_next_job_sends_what_was_left(tmp_path, monkeypatch):
    uri, unsent = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "mlflow" / "unsent-study.jsonl"
    first = RunWriter(Down(uri, "x"), unsent)
    first.start_run("s", "study", {"hbt.study": "study"})
    first.start_run("s/0", "trial", {}, "s")
    first.log_metrics("s/0", [{"step": 1, "loss": 1.0}])
    assert first.flush(30)
    monkeypatch.setattr(Down, "up", False)
    for step in range(2, 40):
        first.log_metrics("s/0", [{"step": step, "loss": 1.0 / step}])
    first.log_params("s/0", {"plan": {"alpha": 0.5}})
    first.log_datasets("s/0", [DATASET])
    first.start_run("s/1", "born in the outage", {"hbt.seed": "1"}, "s")
    first.log_artifact_bytes("s/1", "matrix.png", b"\x89PNG\x00\xff")
    first.log_artifact_text("s/1", "note.txt", "हिन्दी")
    first.finish_run("s/1", "failed", {"hbt.error": "died"})
    first.finish_run("s/0", "early_stopped")
    assert not first.close(timeout=0.2)
    assert unsent.is_file()

    second = RunWriter(Down(uri, "x"), unsent)  # still down: kept again
    second.log_metrics("s", [{"step": 1, "of_second": 2.0}])
    assert not second.close(timeout=0.2)

    monkeypatch.setattr(Down, "up", True)
    third = RunWriter(Down(uri, "x"), unsent)
    assert third.flush(30)
    client = MlflowClient(uri)
    runs = {key: client.get_run(third.run_id(key)) for key in ("s", "s/0", "s/1")}
    assert third.close(10)
    assert not unsent.exists()
    history = client.get_metric_history(runs["s/0"].info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, 1.0 / step) for step in range(1, 40)]
    assert runs["s/0"].data.params == {"plan.alpha": "0.5"}
    assert runs["s/0"].inputs.dataset_inputs[0].dataset.digest == "abc"
    assert (runs["s/0"].info.status, runs["s/0"].data.tags["hbt.early_stopped"]) == ("FINISHED", "true")
    assert (runs["s/1"].info.status, runs["s/1"].data.tags["hbt.error"]) == ("FAILED", "died")
    assert runs["s/1"].data.tags["mlflow.parentRunId"] == runs["s"].info.run_id
    assert runs["s"].data.metrics == {"of_second": 2.0}
    local = client.download_artifacts(runs["s/1"].info.run_id, "", str(tmp_path))
    assert (tmp_path / "matrix.png").read_bytes() == b"\x89PNG\x00\xff"
    assert (tmp_path / "note.txt").read_text(encoding="utf-8") == "हिन्दी"
    assert local
    assert len(client.search_runs([runs["s"].info.experiment_id])) == 3


def test_a_damaged_line_is_said_and_the_others_are_sent(tmp_path, caplog):
    path = tmp_path / "unsent.jsonl"
    calls = [("log_metrics", ("k", [{"step": 1, "time_ms": 5, "loss": 0.5}])), ("finish_run", ("k", "finished", {}))]
    save_calls(path, calls)
    path.write_text(path.read_text() + '{"method": "close", "arguments": []}\n{"meth')
    with caplog.at_level(logging.WARNING):
        assert load_calls(path) == calls
    assert "line 3 is not a record and is not sent: no method 'close'" in caplog.text
    assert "line 4" in caplog.text
    assert load_calls(tmp_path / "none") == []
