"""Studies read from a store after later commands changed their settings."""

import pytest
from mlflow import MlflowClient

from hbt_ray.config.load import override_recipe
from hbt_ray.errors import ConfigError
from hbt_ray.study.baselines import baseline_trials, controls
from hbt_ray.study.mlflow_reader import read_study
from hbt_ray.study.points import listed_trials
from hbt_ray.study.recording import log_end, log_trial
from hbt_ray.study.trials import CONTROLS_TAG, Trial
from hbt_ray.tracking.artifacts import log_config
from hbt_ray.tracking.runs import RunStore
from tests.mlflow_store import fresh_store
from tests.study.stores import EXPERIMENT
from tests.study.studies import STEPS, open_study, recipe_of

ALL = ["xx", "xy", "source", "untrained"]


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return fresh_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def run(tmp_path, uri):
    """A command on a study: logs its settings, and runs of its trials that are new; gives the study as it is read."""
    begun = set()

    def run_it(recipe):
        study = open_study(tmp_path, uri, recipe)
        tags = {"hbt.kind": "study", "hbt.study": recipe.name, CONTROLS_TAG: ",".join(controls(recipe)) or "none"}
        study.log.start_run(study.key, recipe.name, tags)
        log_config(study.log, study.key, recipe.resolved())
        for spec in {spec.name: spec for spec in (*listed_trials(recipe), *baseline_trials(recipe))}.values():
            if study.trial_key(spec) not in begun:
                begun.add(study.trial_key(spec))
                log_trial(study.log, study, spec)
                log_end(study.log, study.trial_key(spec), Trial(spec, "finished", STEPS, {}))
        assert study.log.close(60)
        return read_study(uri, EXPERIMENT, recipe.name)

    return run_it


def outside(study):
    return {trial.label for trial in study.trials if trial.is_control}


def test_what_a_later_command_changed_is_what_counts(run):
    first = run(recipe_of("changed", space={"plan.alpha": [0.0, 0.5]}))
    assert first.metric == "dev/pool_map"
    second = run(recipe_of("changed", space={"plan.alpha": [0.0, 0.5, 1.0]}, metric="dev/rank_distance", seeds=[0, 1]))
    assert second.metric == "dev/rank_distance"
    assert second.config["tune.space.plan.alpha"] == [0.0, 0.5, 1.0]
    assert second.config["tune.seeds"] == [0, 1]
    assert len(second.trials) == 6


def test_controls_stay_controls_where_they_are_asked_for_no_more(run):
    space = {"plan.alpha": [0.0, 0.5]}
    first = run(recipe_of("fewer", space=space, baselines=ALL))
    assert outside(first) == {"alpha=1 seed=0", "alpha=1 langs=en seed=0", "steps=0 seed=0"}
    for study in (run(recipe_of("fewer", space=space)), run(recipe_of("fewer", space=space, baselines=["xy"]))):
        assert outside(study) == outside(first)
        assert {tuple(trial.point) for trial in study.trials if not trial.is_control} == {("plan.alpha",)}
        of_none = [trial for trial in study.trials if trial.baseline in ("source", "untrained")]
        assert [trial.point for trial in of_none] == [{}, {}]  # no plan is told of what stands for no mix
    grown = run(recipe_of("fewer", space={"plan.alpha": [0.0, 0.5, 1.0]}))
    assert outside(grown) == {"alpha=1 langs=en seed=0", "steps=0 seed=0"}


def test_each_xx_trial_is_a_control_by_its_own_values(run):
    space = {"plan.alpha": [0.0, 1.0], "train.lr": [1e-4]}
    run(recipe_of("own", space=space, baselines=["xx"], train={"lr": 3e-5}))
    study = run(recipe_of("own", space=space, baselines=["xx"], train={"lr": 1e-4}))
    assert {trial.label for trial in study.trials if trial.baseline == "xx"} >= {"alpha=1 lr=3e-05 seed=0"}
    assert outside(study) == {"alpha=1 lr=3e-05 seed=0"}
    recipe = recipe_of("schedule", space={"plan.alpha": [0.0, 1.0]}, baselines=["xx"])
    study = run(override_recipe(recipe, {"plan.alpha_schedule": "linear"}))
    assert outside(study) == {"alpha=1 alpha_schedule=constant seed=0"}


def test_a_value_that_is_none_is_a_point_of_its_own(run):
    study = run(recipe_of("none", space={"plan.lang_temperature": [None, 2.0]}))
    assert [trial.point for trial in study.trials] == [{"plan.lang_temperature": None}, {"plan.lang_temperature": 2.0}]
    study = run(recipe_of("alone", space={"plan.lang_temperature": [None]}))
    assert [trial.point for trial in study.trials] == [{"plan.lang_temperature": None}]


def test_a_point_and_seed_count_once_by_the_newest_that_finished(uri):
    store = RunStore(uri, EXPERIMENT)
    parent = store.get_or_create("double-0", "double", {"hbt.kind": "study", "hbt.study": "double"})
    runs = []
    for number, (alpha, status) in enumerate(
        [(0.0, "finished"), (0.5, "finished"), (0.5, "finished"), (0.5, "killed"), (1.0, "failed"), (1.0, "killed")]
    ):
        tags = {"hbt.kind": "trial", "hbt.seed": "0"}
        runs.append(store.get_or_create(f"double-0/{number}", str(number), tags, parent))
        store.log_params(runs[-1], {"plan.alpha": alpha, "train.seed": 0})
        store.finish(runs[-1], status)
    study = read_study(uri, EXPERIMENT, "double")
    assert [trial.run_id for trial in study.trials] == [runs[0], runs[2], runs[5]]
    assert any(note.startswith("3 trials are left out") for note in study.notes)


def test_one_of_several_studies_of_a_name_is_read_by_a_run(uri):
    store = RunStore(uri, EXPERIMENT)
    ids = {}
    for study_id in "ab":
        ids[study_id] = store.get_or_create(f"two-{study_id}", "two", {"hbt.kind": "study", "hbt.study": "two"})
        ids[f"{study_id}/0"] = store.get_or_create(f"two-{study_id}/0", "t", {"hbt.kind": "trial"}, ids[study_id])
    for study_id in "ab":
        for run_id in (ids[study_id], ids[f"{study_id}/0"]):
            study = read_study(uri, EXPERIMENT, "two", run_id)
            assert study.run_id == ids[study_id]
            assert [trial.run_id for trial in study.trials] == [ids[f"{study_id}/0"]]
            assert study.notes[0].startswith(f"2 studies are called two; this one, run {ids[study_id]}, is ")
    assert "is not the newest" in read_study(uri, EXPERIMENT, "two", ids["a"]).notes[0]
    other = MlflowClient(uri).create_run("0").info.run_id
    for run_id in ("abc", other):
        with pytest.raises(
            ConfigError, match=f"run '{run_id}' is no study called 'two', and no trial of one; studies: "
        ):
            read_study(uri, EXPERIMENT, "two", run_id)
