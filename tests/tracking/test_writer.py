"""`RunWriter`: the caller never waits, nothing is lost in an outage, nothing bad blocks what follows."""

import logging
import statistics
import threading
import time

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from requests.exceptions import JSONDecodeError

from hbt_ray.tracking import writer as writer_module
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.writer import RunWriter

CALL_LIMIT_S = 0.05  # a call takes microseconds; an answer from a store takes milliseconds at the very least


class SpyStore(RunStore):
    """Notes what it is asked instead of asking MLflow; fails on demand."""

    def __init__(self):
        super().__init__("http://nowhere", "x")
        self.calls, self.fail, self.up = [], lambda _: None, True

    def _note(self, *call):
        if error := self.fail(call):
            raise error
        self.calls.append(call)

    def ping(self):
        if not self.up:
            raise MlflowException("down")

    def find(self, key):
        self._note("find", key) if self.fail(("find", key)) else None
        return None

    def get_or_create(self, key, name, tags, parent=None):
        self._note("start", key, parent)
        return f"id-{key}"

    def log_metrics(self, run_id, rows):
        self._note("metrics", run_id, [row["step"] for row in rows])

    def log_params(self, run_id, params):
        self._note("params", run_id, params)

    def finish(self, run_id, status, tags=None):
        self._note("finish", run_id, status)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(writer_module, "FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(writer_module, "LONGEST_RETRY_S", 0.05)


@pytest.fixture
def store():
    return SpyStore()


@pytest.fixture
def writer(store):
    made = RunWriter(store)
    yield made
    made.close(timeout=0.1)


def test_order_parents_and_run_ids(store, writer):
    writer.start_run("s", "study")
    writer.start_run("s/0", "trial", {"a": "b"}, parent_key="s")
    writer.log_params("s/0", {"alpha": 0.5})
    writer.log_metrics("s/0", [{"step": 1, "loss": 1.0}])
    writer.finish_run("s/0", "early_stopped")
    assert writer.flush(5)
    assert [call[:3] for call in store.calls] == [
        ("start", "s", None),
        ("start", "s/0", "id-s"),
        ("params", "id-s/0", {"alpha": "0.5"}),
        ("metrics", "id-s/0", [1]),
        ("finish", "id-s/0", "early_stopped"),
    ]
    assert writer.run_id("s/0") == "id-s/0"
    assert writer.run_id("s/1", timeout=0.01) is None


def test_metrics_that_piled_up_go_together_in_the_order_of_their_run(store, writer):
    gate = threading.Event()
    store.fail = lambda _: gate.wait(5) and None
    writer.start_run("a", "a")
    writer.start_run("b", "b")
    for step in range(4):
        writer.log_metrics("a", [{"step": step, "loss": 1.0}])
        writer.log_metrics("b", [{"step": step, "loss": 1.0}])
    writer.finish_run("a", "finished")
    writer.log_metrics("a", [{"step": 9, "loss": 1.0}])
    gate.set()
    assert writer.flush(5)
    of_a = [call for call in store.calls if call[1] == "id-a"]
    assert of_a == [
        ("metrics", "id-a", [0, 1, 2, 3]),
        ("finish", "id-a", "finished"),
        ("metrics", "id-a", [9]),
    ]
    assert [call for call in store.calls if call[1] == "id-b"] == [("metrics", "id-b", [0, 1, 2, 3])]


def test_records_that_arrive_before_their_run_wait_for_it(store, writer):
    writer.log_metrics("late", [{"step": 1, "loss": 1.0}])
    writer.log_metrics("late", [{"step": 2, "loss": 1.0}])
    writer.flush(5)
    assert writer.stats().num_pending > 0
    writer.start_run("late", "late")
    assert writer.flush(5)
    steps = [step for call in store.calls if call[0] == "metrics" for step in call[2]]
    assert steps == [1, 2]
    assert writer.stats().num_pending == 0


def test_an_outage_delays_and_loses_nothing_and_is_said_once(store, writer, caplog):
    down = threading.Event()
    down.set()
    store.fail = lambda _: MlflowException("connection refused") if down.is_set() else None
    calls = []
    writer.start_run("k", "k")
    for step in range(50):
        start = time.monotonic()
        writer.log_metrics("k", [{"step": step, "loss": 1.0}])
        calls.append(time.monotonic() - start)
    assert statistics.median(calls) < CALL_LIMIT_S
    with caplog.at_level(logging.WARNING):
        assert not writer.flush(0.3)
        assert writer.stats().store_is_down
        down.clear()
        assert writer.flush(5)
    assert [step for call in store.calls if call[0] == "metrics" for step in call[2]] == list(range(50))
    said = [record.message for record in caplog.records]
    assert sum("does not take records" in line for line in said) <= 1
    assert sum("answers again" in line for line in said) == 1
    assert writer.stats().num_dropped == 0


def test_what_is_refused_for_good_is_dropped_and_counted(store, writer, caplog):
    refusal = MlflowException.invalid_parameter_value("no such name\nmore text")
    store.fail = lambda call: refusal if call[0] == "params" else None
    writer.start_run("k", "k")
    writer.log_params("k", {"a": 1})
    writer.log_metrics("k", [{"step": 1, "loss": 1.0}])
    assert writer.flush(5)
    assert writer.stats().num_dropped == 1
    assert store.calls[-1] == ("metrics", "id-k", [1])
    assert "run k: log_params is not recorded, MLflow refused: no such name more text" in caplog.text


def test_a_store_that_comes_up_right_after_an_attempt_gets_the_record(store, writer):
    down = threading.Event()
    down.set()
    store.fail = lambda _: MlflowException("connection refused") if down.is_set() else None
    store.ping = down.clear
    writer.start_run("k", "k")
    assert writer.flush(10)
    assert writer.stats().num_dropped == 0
    assert store.calls == [("start", "k", None)]


def test_a_page_instead_of_an_answer_is_an_outage(store, writer):
    answers = iter([JSONDecodeError("Expecting value", "<html>", 0)] * 3)
    store.fail = lambda _: next(answers, None)
    writer.start_run("k", "k")
    assert writer.flush(10)
    assert writer.stats().num_dropped == 0


def test_one_record_that_always_fails_does_not_block_the_others(store, writer):
    store.fail = lambda call: MlflowException("internal") if call[0] == "params" else None
    writer.start_run("k", "k")
    writer.log_params("k", {"a": 1})
    writer.finish_run("k", "finished")
    assert writer.flush(5)
    assert (writer.stats().num_dropped, store.calls[-1]) == (1, ("finish", "id-k", "finished"))


def test_close_says_what_it_leaves_behind(store, writer, caplog):
    store.fail, store.up = lambda _: MlflowException("down"), False
    writer.start_run("k", "k")
    writer.log_params("k", {"a": 1})
    assert not writer.close(timeout=0.1)
    assert "2 records were not written" in caplog.text
    writer.log_params("k", {"b": 1})
    assert writer.stats().num_dropped == 1


def test_mistakes_are_raised_where_they_are_made(writer):
    with pytest.raises(ValueError, match="run status 'done': allowed are finished, early_stopped, failed, killed"):
        writer.finish_run("k", "done")
    with pytest.raises(ValueError, match="an integer `step` is required"):
        writer.log_metrics("k", [{"loss": 1.0}])


def test_a_real_server_goes_away_and_comes_back(server, monkeypatch):
    """Stopped after the first records, started again later: every record is there, no call waited."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    client = MlflowClient(tracking_uri=server.uri)
    writer = RunWriter(RunStore(server.uri, "outage"))
    calls = []

    def timed(method, *arguments):
        start = time.monotonic()
        method(*arguments)
        calls.append(time.monotonic() - start)

    timed(writer.start_run, "s", "study")
    timed(writer.start_run, "s/0", "trial", {}, "s")
    timed(writer.log_metrics, "s/0", [{"step": 0, "loss": 1.0}])
    assert writer.flush(30)
    server.stop()
    try:
        for step in range(1, 200):
            timed(writer.log_metrics, "s/0", [{"step": step, "loss": 1.0 / step}])
        timed(writer.start_run, "s/1", "born in the outage", {}, "s")
        timed(writer.log_params, "s/1", {"mix": {"alpha": 0.5}})
        timed(writer.log_artifact_text, "s/1", "config/resolved.yaml", "alpha: 0.5\n")
        timed(writer.log_artifact_bytes, "s/1", "matrix.png", b"\x89PNG")
        timed(writer.finish_run, "s/0", "early_stopped")
        timed(writer.finish_run, "s/1", "failed", {"hbt.reason": "worker died"})
        assert not writer.flush(0.2)
    finally:
        server.start()
    assert writer.flush(30)
    assert statistics.median(calls) < CALL_LIMIT_S  # other work on the machine holds single ones up
    assert writer.stats().num_dropped == 0
    first, second, study = (client.get_run(writer.run_id(key)) for key in ("s/0", "s/1", "s"))
    history = client.get_metric_history(first.info.run_id, "loss")
    assert sorted(m.step for m in history) == list(range(200))
    assert (first.info.status, first.data.tags["hbt.early_stopped"]) == ("FINISHED", "true")
    assert second.info.status == "FAILED"
    assert second.data.params == {"mix.alpha": "0.5"}
    assert second.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert {f.path for f in client.list_artifacts(second.info.run_id)} == {"config", "matrix.png"}
    assert len(client.search_runs([study.info.experiment_id])) == 3
    assert writer.close(10)
