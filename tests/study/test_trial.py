"""A trial's driver and what is left of a study, without Ray running and without training."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from hbt_ray.config.load import build_recipe
from hbt_ray.errors import HbtError
from hbt_ray.study import run_study as module
from hbt_ray.study.baselines import baseline_trials
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.run_study import drawn_search, run_missing, run_trial
from hbt_ray.study.study import Study
from hbt_ray.study.trials import Trial
from hbt_ray.training.run import RunResult


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr("ray.tune.integration.ray_train.TuneReportCallback", object)  # wants to be in Tune
    recipe = build_recipe({"name": "s", "train": {"steps": 10}})
    experiment = SimpleNamespace(
        datasets=(), runnable=lambda recipe: recipe, corpus=SimpleNamespace(directory="c"), base="b"
    )
    return Study(recipe, experiment, StudyDirectory(str(tmp_path)), "0")


def train_by(monkeypatch, fake):
    """`fake(spec)` in the place of training: in this process, or on Ray Train."""
    monkeypatch.setattr(module, "fit_alone", lambda spec, report: fake(spec))
    monkeypatch.setattr(module, "fit", lambda spec, callbacks: fake(spec))


def run(study, spec, session):
    run_trial({"trial": dict(spec.overrides)}, study, 1, session)


@pytest.mark.parametrize(("num_workers", "error"), [(1, HbtError), (2, HbtError), (2, ValueError)])
def test_a_trial_that_failed_for_good_is_not_run_again_by_the_same_call_and_is_by_the_next(
    study, monkeypatch, num_workers, error
):
    resources = replace(study.recipe.resources, num_workers=num_workers)
    study = replace(study, recipe=replace(study.recipe, resources=resources))
    calls = []

    def train(spec):
        calls.append(spec.name)
        if len(calls) == 1:
            raise error("the training diverged")
        return RunResult({"dev/pool_map": 0.5}, "model")

    train_by(monkeypatch, train)
    spec = TrialSpec.of({"plan.alpha": 0.5}, 0)
    with pytest.raises(error, match="diverged"):
        run(study, spec, "first")
    for _ in range(2):  # Ray Tune tries again as often as drivers may die
        with pytest.raises(HbtError, match="diverged"):
            run(study, spec, "first")
    assert calls == [spec.name]
    assert study.directory.result(spec).status == "failed"
    run(study, spec, "second")
    assert study.directory.result(spec).status == "finished"
    assert calls == [spec.name] * 2


def test_what_another_process_may_mend_is_tried_again_in_the_same_call(study, monkeypatch):
    calls = []

    def train(spec):
        calls.append(spec.name)
        if len(calls) < 3:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return RunResult({"dev/pool_map": 0.5}, "model")

    train_by(monkeypatch, train)
    spec = TrialSpec.of({"plan.alpha": 0.5}, 0)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            run(study, spec, "session")
        assert study.directory.result(spec).error.startswith("CUDA error")  # until it is tried again
    run(study, spec, "session")
    assert study.directory.result(spec).status == "finished"


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_run_that_ended_unheard_is_told_to_tune(study, monkeypatch, num_workers):
    resources = replace(study.recipe.resources, num_workers=num_workers)
    study = replace(study, recipe=replace(study.recipe, resources=resources))
    told = []
    monkeypatch.setattr("ray.tune.report", told.append)
    monkeypatch.setattr(module, "ended", lambda run: RunResult({"dev/pool_map": 0.5}, "model"))
    train_by(monkeypatch, None)
    spec = TrialSpec.of({"plan.alpha": 0.5}, 0)
    run(study, spec, "session")
    assert told == [{"dev/pool_map": 0.5, "step": 10, "pairs": 10 * study.recipe.plan.batch_size}]
    assert study.directory.result(spec).status == "finished"


@pytest.mark.parametrize("stops_early", [True, False])
def test_a_trial_that_was_stopped_early_runs_on_where_none_is_stopped(study, monkeypatch, stops_early):
    told, fitted = [], []
    monkeypatch.setattr("ray.tune.report", told.append)
    train_by(monkeypatch, lambda spec: fitted.append(spec.name) or RunResult({}, "model"))
    spec, other = (TrialSpec.of({"plan.alpha": alpha}, 0) for alpha in (0.5, 0.25))
    study.directory.save(Trial(spec, "stopped", 5, {"dev/pool_map": 0.25}))
    study.directory.save(Trial(other, "finished", 10, {"dev/pool_map": 0.5}))
    for each in (spec, other):
        run_trial({"trial": dict(each.overrides)}, study, 1, "session", stops_early=stops_early)
    assert fitted == ([] if stops_early else [spec.name])
    assert len(told) == 2 - len(fitted)
    assert study.directory.result(spec).status == ("stopped" if stops_early else "finished")


@pytest.mark.parametrize(
    ("tune", "runs"),
    [
        ({}, [["alpha=0 seed=0", "alpha=1 seed=0"]]),
        ({"asha": True}, []),
        ({"asha": True, "baselines": ["xy"]}, [["alpha=0 seed=0"]]),  # a control that was stopped would be none
    ],
)
def test_which_of_the_stopped_trials_are_run_again(study, monkeypatch, tune, runs):
    train, space = {"steps": 10, "eval_every": 5}, {"plan.alpha": [0, 0.5, 1]}
    recipe = build_recipe({"name": "s", "train": train, "tune": {"baselines": [], "space": space, **tune}})
    study = Study(recipe, study.experiment, study.directory, "0")
    for alpha, status in ((0.0, "stopped"), (0.5, "finished"), (1.0, "stopped")):
        study.directory.save(Trial(TrialSpec.of({"plan.alpha": alpha}, 0), status, 5, {}))
    ran = []

    def tune_run(study, search, concurrent, report, *, stops_early):
        specs = [TrialSpec(tuple(sorted(each.items()))) for each in search.space["trial"]["grid_search"]]
        ran.append([spec.label for spec in specs])
        for spec in specs:
            study.directory.save(Trial(spec, "finished", 10, {}))

    monkeypatch.setattr(module, "check_capacity", lambda resources, **kinds: 2)
    run_missing(study, lambda line: None, tune_run)
    assert ran == runs


def test_optuna_asks_again_for_what_was_stopped_early(tmp_path):
    pytest.importorskip("optuna")
    space = {"plan.alpha": {"low": 0.0, "high": 1.0}}
    recipe = build_recipe({"name": "s", "tune": {"search": "optuna", "space": space, "num_samples": 2}})
    directory = StudyDirectory(str(tmp_path))
    directory.save(Trial(TrialSpec.of({"plan.alpha": 0.3}, 0), "stopped", 5, {"dev/pool_map": 0.3}))
    search = drawn_search(SimpleNamespace(recipe=recipe, directory=directory), [], set())
    assert search.num_trials == 2
    assert search.searcher.suggest("a") == {"plan.alpha": 0.3, "__trial_index__": 0}


def test_runs_say_which_baseline_they_are_and_the_untrained_one_has_no_plan(study, monkeypatch):
    train_by(monkeypatch, lambda spec: RunResult({}, "model"))
    for spec in [TrialSpec.of({"plan.alpha": 0.5}, 0), *baseline_trials(study.recipe)]:
        run(study, spec, "session")
    starts = [trial.start for trial in study.directory.runs()]
    tags = {each["name"]: (each["tags"].get("hbt.baseline"), each["tags"].get("hbt.alpha")) for each in starts}
    assert tags == {
        "alpha=0.5 seed=0": (None, "0.5"),
        "alpha=1 seed=0": ("xx", "1"),
        "alpha=0 seed=0": ("xy", "0"),
        "alpha=1 langs=en seed=0": ("source", None),
        "steps=0 seed=0": ("untrained", None),
    }
    assert [each["name"] for each in starts if "plan" not in each["settings"]] == ["steps=0 seed=0"]


def test_baselines_come_on_top_of_what_optuna_draws_and_are_told_to_it(tmp_path):
    pytest.importorskip("optuna")
    recipe = build_recipe(
        {
            "name": "s",
            "tune": {
                "search": "optuna",
                "space": {"plan.alpha": {"low": 0.0, "high": 1.0}},
                "num_samples": 3,
                "seeds": [0, 1],
            },
        }
    )
    directory = StudyDirectory(str(tmp_path))
    baselines = baseline_trials(recipe)
    known = [Trial(spec, "finished", 10, {"dev/pool_map": spec.point.get("plan.alpha", 0)}) for spec in baselines]
    known = [result for result in known if result.spec.label != "alpha=0 seed=1"]  # X-Y failed with one seed
    known.append(Trial(TrialSpec.of({"plan.alpha": 0.3}, 0), "finished", 10, {"dev/pool_map": 0.3}))
    search = drawn_search(SimpleNamespace(recipe=recipe, directory=directory), known, {spec.name for spec in baselines})
    assert (search.num_trials, search.num_asked) == (5, 6)  # three points with two seeds, of which one trial is known
    told = search.searcher.study.get_trials()
    assert [trial.params for trial in told if trial.values] == [{"plan.alpha": 1.0}]
    assert search.searcher.suggest("a") == {"plan.alpha": 0.3, "__trial_index__": 0}
