"""A study's records from one command to the next, without Ray: trials are trained by hand."""

import pytest

from hbt_ray.records import read_run
from hbt_ray.study import run_study as module
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.run_study import run_study
from hbt_ray.study.trials import Trial
from jobs import tune
from tests.study.studies import open_study, recipe_of, train, train_all


def test_a_study_is_decided_from_its_workspace_and_resumed_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "run_missing", train_all)
    study = open_study(tmp_path, recipe_of("s"))
    train(study, TrialSpec.of({"plan.alpha": 0.0}, 0))  # and the driver was killed
    results, failed = run_study(study, print)
    assert (len(results), failed) == (3, [])
    decision, chosen, scores = tune.decide_study(study)
    assert decision.startswith("recommended alpha = 0")
    assert chosen == []  # tracking.log_models=none
    assert 0 < scores["dev/pool_map"] < 1
    assert (tmp_path / "runs" / "s" / "report.html").is_file()
    assert [trial.status for trial in study.directory.read().trials] == ["finished"] * 3


def test_trials_that_failed_in_this_call_count_and_do_not_fail_the_study(tmp_path, monkeypatch):
    study = open_study(tmp_path, recipe_of("failing"))
    dropped, again, new = (TrialSpec.of({"plan.alpha": alpha}, 0) for alpha in (0.7, 0.5, 1.0))
    for spec in (dropped, again):
        study.directory.save(Trial(spec, "failed", 0, {}, error="x", session="first"))

    def ends(study, report):
        train(study, TrialSpec.of({"plan.alpha": 0.0}, 0))
        for spec in (again, new):
            study.begin_trial(spec)
            study.directory.save(Trial(spec, "failed", 0, {}, error="x", session="second"))

    monkeypatch.setattr(module, "run_missing", ends)
    results, failed = run_study(study, print)
    assert len(results) == 4
    assert {result.spec for result in failed} == {again, new}
    monkeypatch.setattr(module, "run_missing", lambda study, report: None)
    assert run_study(study, print)[1] == []


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "killed"), (ValueError, "failed")])
def test_a_study_that_is_ended_says_how(tmp_path, monkeypatch, error, status):
    def end(study, report):
        raise error

    monkeypatch.setattr(module, "run_missing", end)
    study = open_study(tmp_path, recipe_of("ended"))
    with pytest.raises(error):
        run_study(study, print)
    assert read_run(study.directory.path).end["status"] == status
