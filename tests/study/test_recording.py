"""Runs of trials whose last records were lost are made whole, and a study's job decides on its own, whole study."""

from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_from_bytes
from hbt_ray.study import run_study as module
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.recording import log_end, log_trial, mend_runs
from hbt_ray.study.run_study import run_study
from hbt_ray.study.trials import Trial
from hbt_ray.tracking.handle import WriterStats
from hbt_ray.tracking.runs import EARLY_STOPPED_TAG, RunStore
from jobs import tune
from tests.mlflow_store import fresh_store
from tests.study.stores import EXPERIMENT
from tests.study.studies import STEPS, open_study, recipe_of, scores_of, train, train_all


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return fresh_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def client(uri):
    return MlflowClient(uri)


def run_of(study, spec):
    return study.log._store.client.get_run(
        RunStore(study.log._store.tracking_uri, EXPERIMENT).find(study.trial_key(spec))
    )


def test_runs_get_what_they_lack_and_whole_ones_are_left_alone(tmp_path, uri, client):
    study = open_study(tmp_path, uri, recipe_of("mended"))
    open_, whole, absent, failed, bare = (TrialSpec.of({"plan.alpha": alpha}, 0) for alpha in (0.1, 0.2, 0.3, 0.4, 0.5))
    study.log.start_run(study.key, "mended", {"hbt.kind": "study", "hbt.study": "mended"})
    results = [train(study, open_), train(study, whole)]
    mend_runs(study, results[1:], print)
    results.append(Trial(absent, "stopped", 5, {"dev/pool_map": 0.25}, "/m"))
    log_trial(study.log, study, failed)
    results.append(Trial(failed, "failed", 0, {}, error="the loss is NaN"))
    results.append(train(study, bare))
    log_end(study.log, study.trial_key(bare), results[-1])  # its metrics were lost with the writer, its end was not
    assert study.log.flush(30)
    before = run_of(study, whole)
    assert (before.info.status, run_of(study, open_).info.status) == ("FINISHED", "RUNNING")

    said = []
    mend_runs(study, results, said.append)
    assert said == ["MLflow: 4 runs of trials that have ended were not whole, and are recorded again"]
    assert study.log.flush(30)
    assert run_of(study, whole).info.end_time == before.info.end_time
    for spec in (open_, bare):
        run = run_of(study, spec)
        assert run.info.status == "FINISHED"
        (point,) = client.get_metric_history(run.info.run_id, "dev/pool_map")
        assert (point.step, point.value) == (STEPS, pytest.approx(scores_of(spec).headline()["pool_map"]))
        content = Path(client.download_artifacts(run.info.run_id, f"dev/{FILE_NAME}")).read_bytes()
        np.testing.assert_array_equal(scores_from_bytes(content, "x").map_matrix, scores_of(spec).map_matrix)
        assert Path(client.download_artifacts(run.info.run_id, "model.txt")).read_text().endswith("/model\n")
        assert run.data.tags["mlflow.parentRunId"] == study.log.run_id(study.key)
    run = run_of(study, absent)
    assert (run.info.status, run.data.tags[EARLY_STOPPED_TAG]) == ("FINISHED", "true")
    assert (run.data.metrics["dev/pool_map"], run.data.params["plan.alpha"]) == (0.25, "0.3")
    assert (run_of(study, failed).info.status, run_of(study, failed).data.tags["hbt.error"]) == (
        "FAILED",
        "the loss is NaN",
    )
    mend_runs(study, results, said.append)
    assert len(said) == 1


def test_a_study_that_goes_on_is_whole_and_decided_though_its_trials_lost_their_ends(
    tmp_path, uri, client, monkeypatch
):
    monkeypatch.setattr(module, "run_missing", train_all)
    study = open_study(tmp_path, uri, recipe_of("killed"))
    (first, *_) = [TrialSpec.of({"plan.alpha": 0.0}, 0)]
    train(study, first, begin=False)  # and the driver was killed while the server was down
    said = []
    results, failed = run_study(study, said.append)
    assert (len(results), failed) == (3, [])
    assert any("1 runs of trials that have ended were not whole" in line for line in said)
    line = tune.end_study(study, uri, 0)
    assert line.startswith("recommended alpha = 0")
    assert (tmp_path / "killed-0" / "report.html").is_file()
    assert study.log.flush(30)
    for result in results:
        assert run_of(study, result.spec).info.status == "FINISHED"
        assert "dev/pool_map" in run_of(study, result.spec).data.metrics


def test_trials_that_failed_in_this_call_count_and_do_not_fail_the_study(tmp_path, uri, client, monkeypatch):
    study = open_study(tmp_path, uri, recipe_of("failing"))
    dropped, again, new = (TrialSpec.of({"plan.alpha": alpha}, 0) for alpha in (0.7, 0.5, 1.0))
    for spec in (dropped, again):
        study.directory.save(Trial(spec, "failed", 0, {}, error="x", session="first"))

    def ends(study, report):
        train(study, TrialSpec.of({"plan.alpha": 0.0}, 0))
        for spec in (again, new):
            log_trial(study.log, study, spec)
            study.directory.save(Trial(spec, "failed", 0, {}, error="x", session="second"))

    monkeypatch.setattr(module, "run_missing", ends)
    results, failed = run_study(study, print)
    assert len(results) == 4
    assert {result.spec for result in failed} == {again, new}
    tune.end_study(study, uri, len(failed))
    assert study.log.flush(30)
    parent = client.get_run(study.log.run_id(study.key))
    assert (parent.info.status, parent.data.tags["hbt.failed_trials"]) == ("FINISHED", "2")

    monkeypatch.setattr(module, "run_missing", lambda study, report: None)
    results, failed = run_study(study, print)
    assert failed == []
    tune.end_study(study, uri, 0)
    assert study.log.flush(30)
    assert client.get_run(parent.info.run_id).data.tags["hbt.failed_trials"] == "0"


def test_of_two_studies_of_one_name_each_job_decides_on_its_own(tmp_path, uri, client, monkeypatch):
    monkeypatch.setattr(module, "run_missing", train_all)
    older = open_study(tmp_path, uri, recipe_of("twice", space={"plan.alpha": [0.0, 0.25]}), "a")
    run_study(older, print)
    newer = open_study(tmp_path, uri, recipe_of("twice", space={"plan.alpha": [0.5, 0.75]}), "b")
    run_study(newer, print)
    assert tune.end_study(older, uri, 0).startswith("recommended alpha = 0:")
    own = client.list_artifacts(older.log.run_id(older.key))
    assert "report.md" in {item.path for item in own}
    assert "report.md" not in {item.path for item in client.list_artifacts(newer.log.run_id(newer.key))}
    assert "2 studies are called twice" in (tmp_path / "twice-a" / "report.md").read_text()


class Undelivered:
    """A log whose store is down."""

    def __init__(self):
        self.paths, self.ends = [], []

    def flush(self, timeout=60.0):
        return False

    def stats(self):
        return WriterStats(num_pending=12, num_dropped=0, store_is_down=True)

    def log_artifact_text(self, key, path, text):
        self.paths.append(path)

    def log_artifact_bytes(self, key, path, content): ...

    def finish_run(self, key, status, tags=None):
        self.ends.append(status)


def test_nothing_is_decided_before_all_has_arrived(tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "report_study", None)  # would fail
    study = open_study(tmp_path, f"sqlite:///{tmp_path}/none.db", recipe_of("s"))
    object.__setattr__(study, "log", Undelivered())
    said = tune.end_study(study, "sqlite:///none.db", 0)
    assert said == "12 records have not arrived; no decision: `python jobs/report.py s` makes it when they have"
    assert (study.log.paths, study.log.ends) == ([], ["finished"])
