"""Records come into a real store once and in order, whatever happens to the store, and into an empty one again."""

import logging
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from requests.exceptions import JSONDecodeError

from hbt_ray.records import RecordReader, RunRecords, read_run
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.tracking import mirror as module
from hbt_ray.tracking import session
from hbt_ray.tracking.fetch import fetch_study
from hbt_ray.tracking.mirror import MIRRORED_TAG, MODEL_TAG, Mirror, is_refused, mirror_now
from hbt_ray.tracking.runs import EARLY_STOPPED_TAG, ERROR_TAG, RunStore
from hbt_ray.tracking.session import Tracking
from tests.mlflow_store import fresh_store
from tests.study.stores import ALPHAS, trade_scores, write_study

STEPS = 20


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_RETRY_S", 0.2)
    monkeypatch.setattr(module, "POLL_S", 0.02)


@pytest.fixture
def store(tmp_path):
    return RunStore(fresh_store(tmp_path / "mlflow"), "x")


def again(store):
    """The store as another process sees it."""
    return RunStore(store.tracking_uri, store.experiment)


def start(root, name="", parent="", **tags):
    records = RunRecords(f"{root}/{name}" if name else str(root))
    key = f"s/{name}" if name else "s"
    records.start(key, name or "study", parent=parent, tags=tags, settings={"plan": {"alpha": 0.5}})
    return records


def train(records, steps, loss=lambda step: 1.0 / step):
    for step in steps:
        records.metrics(step, {"train/loss": loss(step), "dev/recall@10": 0.5})


def history(store, key, name="train/loss"):
    return [(point.step, point.value) for point in store.client.get_metric_history(store.find(key), name)]


def curve(steps):
    return [(step, 1.0 / step) for step in steps]


def test_a_study_is_mirrored_with_all_that_users_of_mlflow_have(tmp_path, store):
    root = tmp_path / "runs" / "s"
    study, trial = start(root), start(root, "t", "s", **{"hbt.kind": "trial"})
    train(trial, range(1, STEPS + 1))
    trial.params({"precision_used": "fp32"})
    trial.metrics(1, {"system/node_0/cpu_utilization_percentage": 50.0})
    info = {"name": "dev", "digest": "abc", "context": "evaluation", "source": "corpora/c", "profile": {"num_items": 3}}
    trial.append("datasets", datasets=[info])
    trial.file("dev/scores.json", "{}")
    mirror = Mirror(store, str(root), str(tmp_path))
    assert mirror.look()
    assert store.client.get_run(store.find("s/t")).info.status == "RUNNING"
    trial.end("stopped", step=STEPS, metrics={}, model="step-0000020/model", error="")
    study.end("finished", tags={"hbt.failed_trials": "0"})
    assert mirror.look()

    run = store.client.get_run(store.find("s/t"))
    assert (run.info.status, run.data.tags[EARLY_STOPPED_TAG]) == ("FINISHED", "true")
    assert run.data.tags["mlflow.parentRunId"] == store.find("s")
    assert run.data.tags[MODEL_TAG] == f"{root}/t/step-0000020/model"
    assert run.data.params == {"plan.alpha": "0.5", "precision_used": "fp32"}
    assert history(store, "s/t") == curve(range(1, STEPS + 1))
    assert len(history(store, "s/t", "dev/recall_at_10")) == STEPS
    times = [record["time_ms"] for record in RecordReader(f"{root}/t").new()]
    assert (run.info.start_time, run.info.end_time) == (times[0], times[-1])
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.digest, str(tmp_path / "corpora/c") in dataset.dataset.source) == ("abc", True)
    assert {item.path for item in store.client.list_artifacts(run.info.run_id)} == {"dev", "records"}
    assert store.client.get_run(store.find("s")).data.tags["hbt.failed_trials"] == "0"


def test_what_was_mirrored_is_not_sent_again_and_what_was_lost_is(tmp_path, store, monkeypatch):
    root = tmp_path / "runs" / "s"
    start(root).end("finished")
    trial = start(root, "t", "s")
    train(trial, range(1, 6))
    trial.end("failed", error="the loss is NaN")
    assert mirror_now(store.tracking_uri, "x", str(root), str(tmp_path))
    run_id = store.find("s/t")
    assert store.client.get_run(run_id).data.tags[ERROR_TAG] == "the loss is NaN"

    calls = []
    for name in ("get_or_create", "log_metrics", "finish", "log_bytes"):
        monkeypatch.setattr(RunStore, name, lambda self, *args, name=name, **more: calls.append(name))
    assert mirror_now(store.tracking_uri, "x", str(root), str(tmp_path))
    assert calls == []
    monkeypatch.undo()

    start(root, "t", "s")  # it is resumed from step 3 by another process
    train(RunRecords(f"{root}/t"), range(4, 9))
    assert mirror_now(store.tracking_uri, "x", str(root), str(tmp_path))
    run = store.client.get_run(run_id)
    assert (run.info.status, run.data.tags.get(ERROR_TAG)) == ("RUNNING", None)
    assert history(store, "s/t") == curve(range(1, 9))

    store.client.delete_run(run_id)
    other = RunStore(fresh_store(tmp_path / "empty"), "x")
    for each in (store, other):  # the run was deleted; the store is an empty one
        assert mirror_now(each.tracking_uri, "x", str(root), str(tmp_path))
        assert history(again(each), "s/t") == curve(range(1, 9))


def test_a_mirror_that_was_killed_in_the_middle_leaves_nothing_twice(tmp_path, store):
    root = tmp_path / "runs" / "s"
    start(root)
    trial = start(root, "t", "s")
    train(trial, range(1, 11))
    first = Mirror(store, str(root), str(tmp_path))
    assert first.look()
    train(trial, range(11, STEPS + 1))
    trial.end("finished")
    assert Mirror(again(store), str(root), str(tmp_path)).look()
    assert history(store, "s/t") == curve(range(1, STEPS + 1))
    runs = store.client.search_runs([store.client.get_experiment_by_name("x").experiment_id])
    assert len(runs) == 2


def test_what_the_store_refuses_blocks_nothing_and_is_said(tmp_path, store, caplog):
    root = tmp_path / "runs" / "s"
    start(root)
    trial = start(root, "t", "s")
    trial.append("datasets", datasets=[{"name": "no digest"}])
    train(trial, range(1, 3))
    with caplog.at_level(logging.WARNING):
        assert not mirror_now(store.tracking_uri, "x", str(root), str(tmp_path))
    assert "a record (datasets) is not in MLflow, which refused it" in caplog.text
    assert history(store, "s/t") == curve(range(1, 3))


def test_what_is_a_refusal():
    assert is_refused(MlflowException("no", error_code=INVALID_PARAMETER_VALUE))
    assert is_refused(ValueError("no"))
    assert not is_refused(MlflowException("down"))
    assert not is_refused(JSONDecodeError("Expecting value", "<html>", 0))
    assert not is_refused(ConnectionError("down"))


def test_a_locked_database_is_waited_for(tmp_path, store, monkeypatch):
    root = tmp_path / "runs" / "s"
    trial = start(root)
    train(trial, range(1, 3))
    mirror, ending, whole = Mirror(store, str(root), str(tmp_path)), threading.Event(), []
    assert mirror.look()
    train(trial, range(3, 6))
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "1")
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        follower = threading.Thread(target=lambda: whole.append(mirror.follow(ending, lambda down: 60.0)))
        follower.start()
        time.sleep(0.3)
        other.execute("COMMIT")
    ending.set()
    follower.join(60)
    assert whole == [True]
    assert history(again(store), "s") == curve(range(1, 6))


def test_two_studies_at_once_share_a_store(tmp_path, store):
    roots = [tmp_path / "runs" / name for name in "ab"]
    for root in roots:
        RunRecords(str(root)).start(root.name, root.name, tags={}, settings={})
        train(RunRecords(str(root)), range(1, 101))
    threads = [
        threading.Thread(target=mirror_now, args=(store.tracking_uri, "x", str(root), str(tmp_path))) for root in roots
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for root in roots:
        assert history(store, root.name) == curve(range(1, 101))


def test_a_server_that_hangs_and_one_that_ends_hold_nothing_up_and_lose_nothing(tmp_path, server, monkeypatch):
    """A training beside the mirror's process: calls of the records take under 2% of its time."""
    monkeypatch.setitem(session.REQUEST_LIMITS, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setitem(session.REQUEST_LIMITS, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    root = tmp_path / "runs" / "s"
    start(root)
    trial, calls, begin, step = start(root, "t", "s"), [], time.monotonic(), 0

    def steps(num):
        nonlocal step
        for _ in range(num):
            time.sleep(0.01)
            step += 1
            before = time.perf_counter()
            train(trial, [step])
            calls.append(time.perf_counter() - before)

    job, store = Tracking(server.uri, "hangs", str(tmp_path)), RunStore(server.uri, "hangs")
    job.mirror(str(root))
    steps(50)
    deadline = time.monotonic() + 120
    while not (store.find("s/t") and history(store, "s/t")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    server.pause()
    try:
        steps(100)
        time.sleep(1.5)  # a request has run out of time and is repeated
    finally:
        server.go_on()
    steps(50)
    server.terminate()
    try:
        steps(50)
        trial.end("finished")
    finally:
        server.start()
    assert job.close()
    assert history(store, "s/t") == curve(range(1, step + 1))
    assert store.client.get_run(store.find("s/t")).info.status == "FINISHED"
    share = len(calls) * statistics.median(calls) / (time.monotonic() - begin)
    assert share < 0.02  # other work on the machine holds single calls up


@pytest.mark.slow
def test_the_mirror_ends_with_its_driver_after_it_has_sent_what_there_was(tmp_path, store):
    root = tmp_path / "runs" / "s"
    start(root)
    code = f"""
import time
from hbt_ray.records import RunRecords
from hbt_ray.tracking.session import Tracking
job = Tracking({store.tracking_uri!r}, "x", {str(tmp_path)!r})
job.mirror({str(root)!r})
for step in range(1, 6):
    RunRecords({str(root)!r}).metrics(step, {{"train/loss": 1.0 / step}})
print(job._process.pid, flush=True)
time.sleep(600)
"""
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(driver.stdout.readline())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 120
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{pid}")
    assert history(store, "s") == curve(range(1, 6))


@pytest.mark.slow
def test_a_store_that_never_answers_is_given_up_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "LIMITS_S", {"up": 1.0, "down": 1.0})
    start(tmp_path / "s")
    job = Tracking("http://127.0.0.1:9", "x", str(tmp_path))
    job.mirror(str(tmp_path / "s"))
    assert not job.close()
    assert job.close()  # nothing is left to wait for


def test_a_study_of_another_machine_is_fetched_and_decided_alike(tmp_path, store):
    root = write_study(tmp_path / "there", "trade", ALPHAS, scores=trade_scores, statuses={(1, 0): "failed"})
    assert mirror_now(store.tracking_uri, "x", root.path, str(tmp_path / "there"))
    shutil.rmtree(tmp_path / "there")
    trial = next(iter(store.children(store.find("trade-0")).values()))
    here, said = tmp_path / "here", []
    assert fetch_study(store, trial, str(here), said.append) == "trade"
    assert said[-1].startswith("study trade: 5 trials of trade-0 are in ")
    directory = StudyDirectory(f"{here}/runs/trade")
    study = directory.read()
    assert [trial.status for trial in study.trials] == ["finished", "failed", "finished", "finished", "finished"]
    scores = directory.scores(study.finished, "dev")
    for trial in study.finished:
        (expected,) = trade_scores(trial.point, trial.seed)
        assert (scores[trial.key].pool_map == expected.pool_map).all()
    with pytest.raises(Exception, match="has a study already"):
        fetch_study(store, store.find("trade-0"), str(here), print)
    with pytest.raises(Exception, match="neither a study nor a trial"):
        fetch_study(store, store.get_or_create("other", "other", {}), str(tmp_path), print)
    assert mirror_now(store.tracking_uri, "x", directory.path, str(here))  # and is mirrored from here from now on


def test_a_workspace_that_was_copied_leaves_the_store_of_the_old_place_alone(tmp_path):
    old, new = tmp_path / "old [1] %25", tmp_path / "new"
    directory = write_study(old, "trade", ALPHAS[:2], scores=trade_scores)
    uri = f"sqlite:///{old}/mlflow/mlflow.db"
    fresh_store(old / "mlflow")
    assert mirror_now(uri, "x", directory.path, str(old))
    shutil.copytree(old, new)
    before = {path: path.stat().st_mtime_ns for path in old.rglob("*")}
    copied = StudyDirectory(f"{new}/runs/trade")
    copied.records.file("report.md", "# made in the new place")
    store = RunStore(f"sqlite:///{new}/mlflow/mlflow.db", "x")
    assert Mirror(store, copied.path, str(new)).look()
    run = store.client.get_run(store.find("trade-0"))
    assert run.info.artifact_uri.startswith((new / "mlflow").as_uri())
    assert (new / "mlflow" / "mlartifacts" / run.info.run_id / "artifacts" / "report.md").is_file()
    children = [store.client.get_run(each) for each in store.children(run.info.run_id).values()]
    assert all(each.data.tags[MODEL_TAG].startswith(str(new)) for each in children)
    assert {path: path.stat().st_mtime_ns for path in old.rglob("*")} == before


def test_mirrored_counts_are_those_of_the_records(tmp_path, store):
    records = start(tmp_path / "s")
    train(records, range(1, 4))
    records.end("finished")
    assert mirror_now(store.tracking_uri, "x", str(tmp_path / "s"), str(tmp_path))
    reader = RecordReader(str(tmp_path / "s"))
    reader.new()
    assert store.tag(store.find("s"), MIRRORED_TAG) == str(reader.counts).replace("'", '"')
    assert read_run(str(tmp_path / "s")).end["status"] == "finished"
