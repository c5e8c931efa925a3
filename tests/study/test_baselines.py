"""Baselines of a study: which trials they are, whether they lie in the space, and what is said of them."""

import numpy as np
import pytest

from hbt_ray.config.load import build_recipe
from hbt_ray.errors import ConfigError
from hbt_ray.study.analysis import draw
from hbt_ray.study.baselines import baseline_of, baseline_point, baseline_trials, check_baselines, controls, in_space
from hbt_ray.study.points import TrialSpec, as_in_recipe, listed_trials
from hbt_ray.study.points_on_set import points_on_set
from hbt_ray.study.trials import Trial


def recipe_of(recipe=None, **tune):
    return build_recipe({**(recipe or {}), "tune": tune})


def names(trials):
    return [trial.label for trial in trials]


def test_all_four_are_in_a_study_unless_switched_off():
    recipe = recipe_of(seeds=[3, 1])
    assert names(baseline_trials(recipe)) == [
        "alpha=1 seed=3",
        "alpha=0 seed=3",
        "alpha=1 langs=en seed=3",
        "steps=0 seed=3",
        "alpha=1 seed=1",
        "alpha=0 seed=1",
        "alpha=1 langs=en seed=1",
    ]
    assert controls(recipe) == ["source", "untrained"]
    assert baseline_trials(recipe_of(baselines=[])) == []
    assert names(baseline_trials(recipe_of(baselines=["untrained"], seeds=[0, 1]))) == ["steps=0 seed=0"]
    with pytest.raises(ConfigError, match=r"tune\.baselines"):
        recipe_of(baselines=["both"])


def test_a_baseline_that_is_a_point_of_the_space_is_not_run_twice():
    recipe = recipe_of(space={"plan.alpha": [0, 0.5, 1]}, seeds=[0, 1])
    listed = {trial.name for trial in listed_trials(recipe)}
    again = [trial for trial in baseline_trials(recipe) if trial.name in listed]
    assert names(again) == ["alpha=1 seed=0", "alpha=0 seed=0", "alpha=1 seed=1", "alpha=0 seed=1"]
    assert len(listed | {trial.name for trial in baseline_trials(recipe)}) == 6 + 3


def test_baselines_have_the_recipes_own_values_of_all_that_is_varied():
    space = {"train.lr": [1e-5, 1e-4], "plan.alpha": [0.0, 1.0], "plan.alpha_schedule": ["constant", "linear"]}
    recipe = recipe_of({"train": {"lr": 3e-5}, "translate": {"source_lang": "de"}}, space=space)
    expected = {"train.lr": 3e-5, "plan.alpha": 1.0, "plan.alpha_schedule": "constant"}
    assert baseline_point(recipe, "xx") == expected
    assert baseline_point(recipe, "xy") == {**expected, "plan.alpha": 0.0}
    assert baseline_point(recipe, "source") == {**expected, "plan.langs": ["de"]}
    assert baseline_point(recipe, "untrained") == {"train.steps": 0}
    assert controls(recipe) == ["xx", "xy", "source", "untrained"]  # their learning rate is not in the space
    trained = TrialSpec.of(baseline_point(recipe, "source"), 7).recipe(recipe)
    assert (trained.plan.alpha, trained.plan.langs, trained.train.seed) == (1.0, ("de",), 7)


def test_a_baseline_fixes_nothing_that_the_recipe_has_anyway():
    fixed = {"plan": {"alpha": 1.0}}
    recipe = recipe_of(fixed, space={"train.lr": [1e-5, 3e-5]})
    assert baseline_point(recipe, "xx") == {"train.lr": 3e-5}
    assert baseline_point(recipe, "xy") == {"train.lr": 3e-5, "plan.alpha": 0.0}
    assert controls(recipe) == ["xy", "source", "untrained"]
    linear = recipe_of({"plan": {"alpha_schedule": "linear"}})
    assert baseline_point(linear, "xx") == {"plan.alpha": 1.0, "plan.alpha_schedule": "constant"}
    assert not in_space(baseline_point(linear, "xx"), linear)


@pytest.mark.parametrize(
    ("values", "inside", "outside"),
    [
        ([0, 0.5], [0.0, 0.5], [0.25, 1.0]),
        ({"low": 0.0, "high": 0.8}, [0.0, 0.3, 0.8], [1.0]),
        ({"low": 0.0, "high": 1.0, "step": 0.25}, [0.25, 1.0], [0.3]),
    ],
)
def test_what_lies_in_a_space(values, inside, outside):
    recipe = recipe_of(space={"plan.alpha": values}, search="random")
    assert all(in_space({"plan.alpha": alpha}, recipe) for alpha in inside)
    assert not any(in_space({"plan.alpha": alpha}, recipe) for alpha in outside)
    assert not in_space({"plan.alpha": inside[0], "train.lr": 1e-5}, recipe)


def test_trials_are_recognised_as_baselines():
    recipe = recipe_of()
    for name in recipe.tune.baselines:
        assert baseline_of(TrialSpec.of(baseline_point(recipe, name), 5), recipe) == name
    assert baseline_of(TrialSpec.of({"plan.alpha": 0.5}, 0), recipe) is None


def test_batch_sizes_see_equally_many_pairs():
    base = {"plan": {"batch_size": 64}, "train": {"steps": 100, "eval_every": 10, "warmup": 0.2}}
    space = {"plan.batch_size": [16, 64, 100, 128]}
    recipe = recipe_of(base, space=space, baselines=["xx", "untrained"])
    trained = {t.point["plan.batch_size"]: t.recipe(recipe).train for t in listed_trials(recipe)}
    assert {size: train.steps for size, train in trained.items()} == {16: 400, 64: 100, 100: 64, 128: 50}
    for size, train in trained.items():
        assert 0 <= 6400 - size * train.steps < size
        assert 0 <= size * train.eval_every - 640 < size
        assert train.warmup == 0.2
    steps = [trial.recipe(recipe).train.steps for trial in baseline_trials(recipe)]
    assert steps == [100, 0]
    for more in ({"space": space, "equal_compute": False}, {"space": {**space, "train.steps": [7]}}):
        off = recipe_of(base, **more)
        assert len({trial.recipe(off).train.steps for trial in listed_trials(off)}) == 1


@pytest.mark.parametrize("search", ["grid", "random"])
def test_alpha_is_searched_together_with_all_that_goes_with_it(search):
    stages = [[[0.0, 1.0], [0.5, 0.0]]]
    space = {
        "plan.alpha": [0.0, 0.5],
        "train.lr": [1e-5, 1e-4],
        "model.temperature": [0.02, 0.05],
        "plan.batch_size": [32, 64],
        "plan.lang_temperature": [None, 2.0],
        "plan.alpha_schedule": ["constant", "linear", "staged"],
        "plan.alpha_stages": stages,
    }
    recipe = recipe_of({"plan": {"batch_size": 64}}, search=search, space=space, num_samples=50)
    trials = listed_trials(recipe)
    assert len(trials) == (96 if search == "grid" else len(trials)) > 30
    for trial in trials:
        changed = trial.recipe(recipe)
        assert as_in_recipe(trial.point, recipe) == trial.point
        assert changed.plan.alpha_schedule == trial.point["plan.alpha_schedule"]
        assert changed.model.temperature == trial.point["model.temperature"]
        assert changed.train.lr == trial.point["train.lr"]
        assert changed.plan.lang_temperature == trial.point["plan.lang_temperature"]
        assert changed.train.steps * changed.plan.batch_size == 64_000


def test_an_untrained_control_has_no_spread_between_seeds():
    def trial(run, alpha, value, seed, *, steps=100, baseline=""):
        point = {} if baseline else {"plan.alpha": alpha}
        numbers = dict.fromkeys(("mono_map", "cross_map", "pool_map", "rank_distance"), value)
        return Trial(
            TrialSpec.of(point, seed),
            "finished",
            step=steps,
            key=run,
            metrics={f"dev/{name}": number for name, number in numbers.items()},
            config={"train.steps": steps},
            baseline=baseline,
            is_control=bool(baseline),
        )

    trials = [trial(f"{alpha}{seed}", alpha, 0.5 + 0.01 * seed, seed) for alpha in (0.0, 1.0) for seed in (0, 1, 2)]
    trials.append(trial("base", 0.5, 0.3, 0, steps=0, baseline="untrained"))
    on_set = points_on_set(trials, {}, "dev", ())
    assert [point.label for point in on_set.points] == ["alpha = 0", "alpha = 1", "no fine-tuning"]
    draws = draw(on_set)
    np.testing.assert_array_equal(draws.total[2], 0.3)
    assert draws.total[0].std() > 0.003


class OneLanguage:
    """A corpus of German alone, as far as plans look at it."""

    def __init__(self):
        from types import SimpleNamespace

        shard = SimpleNamespace(row_groups=[("s", 40)])
        self.manifest = SimpleNamespace(langs=("de",), splits={"train": SimpleNamespace(shards=[shard])})

    def packed_coverage(self, split):
        return np.packbits(np.ones((40, 1), bool), axis=1)


def test_a_corpus_that_cannot_supply_a_baseline_is_refused_with_what_to_do():
    def error(*baselines):
        with pytest.raises(ConfigError) as caught:
            check_baselines(recipe_of({"plan": {"batch_size": 8}}, baselines=baselines), OneLanguage())
        return str(caught.value)

    found = error("source")
    assert "cannot supply 'source' (source language only): plan.langs: the corpus has no language 'en'" in found
    assert "or leave it out of tune.baselines" in error("xy")
    check_baselines(recipe_of({"plan": {"batch_size": 8}}, baselines=["xx", "untrained"]), OneLanguage())
