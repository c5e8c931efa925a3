"""What waits is on disk while it waits: a writer that is killed or restarted loses nothing, and sends nothing twice."""

import logging
import shutil
import threading
import time

import pytest
from mlflow import MlflowClient

from hbt_ray.tracking import journal as journal_module
from hbt_ray.tracking import writer as writer_module
from hbt_ray.tracking.dataset_info import DatasetInfo
from hbt_ray.tracking.journal import Journal, Record
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.writer import RunWriter
from tests.mlflow_store import fresh_store

DATASET = DatasetInfo(name="dev", digest="abc", context="evaluation", source="/data", profile={"num_items": 3})
ATTEMPTS = ("log_params", "log_metrics", "log_datasets", "log_bytes", "finish", "get_or_create", "find", "ping")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(writer_module, "FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(writer_module, "LONGEST_RETRY_S", 0.05)
    monkeypatch.setattr(writer_module, "POLL_S", 0.02)


class Switched(RunStore):
    """A store that can be taken away, or that takes its time."""

    def __init__(self, uri):
        super().__init__(uri, "x")
        self.up, self.gate = True, threading.Event()
        self.gate.set()

    def __getattribute__(self, name):
        if name in ATTEMPTS:
            self.gate.wait(30)
            if not self.up:
                raise ConnectionError("refused")
        return super().__getattribute__(name)


def until(condition, limit_s=20):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def methods(path):
    return [record.method for record in Journal(path).load()]


def test_a_killed_writer_leaves_what_the_store_has_not_taken(tmp_path):
    uri, path = fresh_store(tmp_path), tmp_path / "mlflow" / "unsent.jsonl"
    store = Switched(uri)
    writer = RunWriter(store, path)
    writer.start_run("s", "study")
    writer.start_run("s/0", "trial", {}, "s")
    writer.log_metrics("s/0", [{"step": 1, "loss": 1.0}])
    assert writer.flush(30)
    assert not path.exists()
    store.up = False
    for step in range(2, 50):
        writer.log_metrics("s/0", [{"step": step, "loss": 1.0 / step}])
        time.sleep(0.001)
    writer.log_artifact_bytes("s/0", "dev/per_query.npz", b"\x00\xff")
    writer.finish_run("s/0", "finished")
    until(lambda: "finish" in methods(path))
    left = tmp_path / "left.jsonl"  # what a SIGKILL at this moment leaves; cut off in the middle of the next line
    shutil.copy(path, left)
    with left.open("ab") as file:
        file.write(b'{"method": "log_met')

    second = RunWriter(RunStore(uri, "x"), left)
    second.log_metrics("s/0", [{"step": 49, "loss": 9.0}, {"step": 50, "loss": 0.5}])
    assert second.flush(30)
    assert not left.exists()
    client = MlflowClient(uri)
    run = client.get_run(second.run_id("s/0"))
    history = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "loss")]
    assert history == [*((step, 1.0 / step) for step in range(1, 50)), (50, 0.5)]
    assert run.info.status == "FINISHED"
    assert [item.path for item in client.list_artifacts(run.info.run_id, "dev")] == ["dev/per_query.npz"]
    store.up = True  # the first one lives, and sends the same again
    assert writer.flush(30)
    assert [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "loss")] == history
    assert writer.close(10)
    assert second.close(10)
    assert not path.exists()


def test_what_waits_for_an_answer_is_written_down_before_the_store_is_known_to_be_down(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "AFTER_S", 0.1)
    path = tmp_path / "unsent.jsonl"
    store = Switched(fresh_store(tmp_path))
    writer = RunWriter(store, path)
    store.gate.clear()  # it hangs
    writer.start_run("s", "study")
    until(path.is_file)
    writer.finish_run("s", "finished")
    until(lambda: "finish" in methods(path))
    assert not writer.stats().store_is_down
    assert methods(path) == ["start", "finish"]
    store.gate.set()
    assert writer.flush(30)
    until(lambda: not path.exists())
    assert writer.close(10)


def test_a_store_that_is_down_is_waited_for_once(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "DOWN_WAIT_S", 0.4)
    store = Switched(fresh_store(tmp_path))
    store.up = False
    writer = RunWriter(store, tmp_path / "unsent.jsonl")
    writer.start_run("s", "study")
    start = time.monotonic()
    for _ in range(5):
        assert not writer.flush(60)
        assert writer.run_id("s", 10) is None
        assert writer.recorded({"s": ()}) is None
    assert 0.3 < time.monotonic() - start < 3
    store.up = True
    until(lambda: writer.run_id("s", 10))
    assert writer.flush(60)
    store.up = False
    writer.finish_run("s", "finished")
    start = time.monotonic()
    assert not writer.flush(60)
    assert time.monotonic() - start > 0.3  # anew
    assert not writer.close(60)
    assert time.monotonic() - start < 4
    assert methods(tmp_path / "unsent.jsonl") == ["finish"]


def test_a_writer_that_was_restarted_knows_the_runs_of_the_one_before(tmp_path):
    store = RunStore(fresh_store(tmp_path), "x")
    first = RunWriter(store)
    first.start_run("s", "study")
    first.log_metrics("s", [{"step": 1, "dev/pool_map": 1.0}])
    first.log_artifact_text("s", "dev/scores.json", "{}")
    first.finish_run("s", "early_stopped")
    assert first.flush(30)
    again = RunWriter(RunStore(store.tracking_uri, "x"))
    assert again.run_id("s", 0.05) == first.run_id("s")
    recorded = again.recorded({"s": ["dev"], "none": []})
    assert list(recorded) == ["s"]
    assert (recorded["s"].status, recorded["s"].early_stopped) == ("FINISHED", True)
    assert recorded["s"].metrics == {"dev/pool_map"}
    assert recorded["s"].artifacts == {"dev", "dev/scores.json"}


def test_the_next_job_sends_what_was_left(tmp_path):
    uri, unsent = fresh_store(tmp_path), tmp_path / "mlflow" / "unsent-study.jsonl"
    store = Switched(uri)
    first = RunWriter(store, unsent)
    first.start_run("s", "study", {"hbt.study": "study"})
    first.start_run("s/0", "trial", {}, "s")
    first.log_metrics("s/0", [{"step": 1, "loss": 1.0}])
    assert first.flush(30)
    store.up = False
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

    second = RunWriter(store, unsent)  # still down: kept again
    second.log_metrics("s", [{"step": 1, "of_second": 2.0}])
    assert not second.close(timeout=0.2)

    store.up = True
    third = RunWriter(RunStore(uri, "x"), unsent)
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
    records = [
        Record("log_metrics", "k", ([{"step": 1, "time_ms": 5, "loss": 0.5}],)),
        Record("log_datasets", "k", ((DATASET,),)),
        Record("log_bytes", "k", ("matrix.png", b"\x00\xff")),
        Record("finish", "k", ("finished", {})),
    ]
    Journal(path).replace(records)
    path.write_text(path.read_text() + '{"method": "close", "key": "k", "arguments": []}\n{"meth')
    with caplog.at_level(logging.WARNING):
        assert Journal(path).load() == records
    assert "line 5 is not a record and is not sent: no method 'close'" in caplog.text
    assert "line 6" in caplog.text
    assert Journal(tmp_path / "none").load() == []
