"""Arms of a study: configurations with names, besides the search space or instead of it."""

import pytest

from hbt_ray.config.load import build_recipe
from hbt_ray.errors import ConfigError
from hbt_ray.reports.study_page import report_files
from hbt_ray.reports.study_wording import recommendation_line
from hbt_ray.study.analysis import analyse
from hbt_ray.study.arms import check_arms, find_arm
from hbt_ray.study.baselines import baseline_names, baseline_of, baseline_trials, controls
from hbt_ray.study.points import TrialSpec, check_space, known_recipes, listed_trials
from hbt_ray.study.trials import Trial
from tests.study.stores import ALPHAS, made_up_scores, trade_scores, write_study

ARMS = {"single": {"plan.pairs": "single"}, "fast": {"train.lr": 1e-3, "plan.alpha": 0}, "half": {"plan.alpha": 0.5}}


def recipe_of(**tune):
    return build_recipe({"tune": {"baselines": ["xx"], "arms": ARMS, **tune}, "plan": {"alpha": 0.25}})


def test_an_arm_is_a_trial_a_seed_and_one_that_the_space_has_is_trained_once():
    recipe = recipe_of(seeds=[0, 1])
    trials = {spec.name: baseline_of(spec, recipe) for spec in baseline_trials(recipe)}
    assert sorted(trials.values()) == ["fast", "fast", "half", "half", "single", "single", "xx", "xx"]
    together = {spec.name for spec in (*listed_trials(recipe), *baseline_trials(recipe))}
    assert len(together) == 2 * (3 + 2)  # X-X and half are points of the space
    assert controls(recipe)[:2] == ["single", "fast"]
    points = {baseline_of(spec, recipe): spec.point for spec in baseline_trials(recipe)}
    assert points["single"] == {"plan.alpha": 0.25, "plan.pairs": "single"}
    assert points["fast"] == {"plan.alpha": 0.0, "train.lr": 1e-3}
    assert {each.train.lr for each in known_recipes(recipe)} == {1e-3, recipe.train.lr}
    named = baseline_names(recipe, [Trial(spec, "finished", 1, {}) for spec in baseline_trials(recipe)])
    assert set(named.values()) == {"single", "fast", "half", "X-X"}


def test_arms_alone_are_a_study():
    recipe = recipe_of(space={}, baselines=[])
    check_space(recipe)
    assert listed_trials(recipe) == []
    assert {baseline_of(spec, recipe) for spec in baseline_trials(recipe)} == set(ARMS)
    assert set(controls(recipe)) > set(ARMS)


def test_what_an_arm_cannot_set_is_refused_before_any_trial():
    for arms, match in (
        ({"other": {"corpus.input": "x"}}, "tune.arms.other.corpus.input cannot be varied"),
        ({"other": {"plan.alpha": 2}}, "plan.alpha"),
        ({"a": {"plan.alpha": 0.5}, "b": {"plan.alpha": 0.5}}, "tune.arms.a sets what another arm sets"),
    ):
        with pytest.raises(ConfigError, match=match):
            check_space(recipe_of(arms=arms))


def test_claims_name_arms():
    claim = {"metric": "pool_map", "above": "single", "below": "X-X", "text": "single is best"}
    check_arms(recipe_of(claims=[claim]))
    with pytest.raises(ConfigError, match=r"one of tune.arms \(single, fast, half\)"):
        check_arms(recipe_of(claims=[{**claim, "above": "double"}]))


def test_a_report_speaks_of_an_arm_by_its_name_and_may_recommend_it(tmp_path):
    def scores(point, seed):
        if "plan.pairs" in point:
            return [made_up_scores(9000 + seed, noise=0.6, bias=0.05)]
        return trade_scores(point, seed)

    single = {"plan.alpha": 0.5, "plan.pairs": "single"}
    space = {"plan.alpha": [0.0, 0.5, 1.0]}
    directory = write_study(
        tmp_path, "arms", ALPHAS[::2], scores=scores, seeds=(0, 1), controls={"single": single}, space=space
    )
    study = directory.read()
    assert {trial.point["plan.alpha"] for trial in study.trials} == {0.0, 0.5, 1.0}
    analysis = analyse(study, directory.scores)
    assert analysis.recommended.label == "single"
    assert recommendation_line(analysis).startswith("recommended single: gives up at most 0.0%")
    on_set = analysis.main.on_set
    assert [point.label for point in on_set.points] == ["alpha = 0", "alpha = 0.5", "alpha = 1", "single"]
    assert find_arm(on_set, "single", None) == 3
    assert find_arm(on_set, "alpha=0.5", None) == 1
    assert find_arm(on_set, "double", None) is None
    for text in report_files(analysis).values():
        assert "single" in text


def test_a_trial_of_an_arm_has_the_recipe_of_the_arm():
    recipe = recipe_of()
    spec = TrialSpec.of({"plan.alpha": 0.25, "plan.pairs": "single"}, 0)
    assert baseline_of(spec, recipe) == "single"
    assert spec.recipe(recipe).plan.pairs == "single"
