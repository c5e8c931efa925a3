import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.config.load import build_recipe
from hbt_ray.errors import ConfigError
from hbt_ray.study.points import TrialSpec, check_space, is_whole, listed_trials


def recipe_of(**tune):
    return build_recipe({"tune": tune})


def points(recipe):
    return [trial.point for trial in listed_trials(recipe)]


def test_a_grid_is_every_combination_seed_by_seed():
    recipe = recipe_of(space={"plan.alpha": [0.0, 0.5], "train.lr": [1e-5, 3e-5]}, seeds=[3, 1])
    trials = listed_trials(recipe)
    expected = [{"plan.alpha": a, "train.lr": lr} for a, lr in itertools.product([0.0, 0.5], [1e-5, 3e-5])]
    assert [trial.point for trial in trials] == expected * 2
    assert [trial.seed for trial in trials] == [3] * 4 + [1] * 4
    assert len({trial.name for trial in trials}) == 8
    changed = trials[5].recipe(recipe)
    assert (changed.plan.alpha, changed.train.lr, changed.train.seed) == (0.0, 3e-5, 1)
    assert changed.tune == recipe.tune


def test_names_are_stable_readable_and_fit_for_directories():
    spec = TrialSpec.of({"plan.alpha": 0.5}, 0)
    assert spec.name == TrialSpec((("plan.alpha", 0.5), ("train.seed", 0))).name
    assert spec.name == "alpha_0.5_seed_0-9d93b2"
    assert spec.label == "alpha=0.5 seed=0"
    one, other = (TrialSpec.of({"train.lr": lr}, 0) for lr in (1.00001e-5, 1.00002e-5))
    assert one.label == other.label
    assert one.name != other.name
    long = TrialSpec.of({"plan.source_weights": {"a/b": 1.0, "c d" * 40: 2.0}}, 0).name
    assert len(long) < 80
    assert not set(long) & set("/ {}:'")


def test_a_number_has_one_name_however_it_is_written():
    whole, real = (recipe_of(space={"plan.alpha": values}) for values in ([0, 1], [0.0, 1.0]))
    assert [t.name for t in listed_trials(whole)] == [t.name for t in listed_trials(real)]
    assert points(recipe_of(space={"plan.alpha": [0, 0.0, 0.5]})) == [{"plan.alpha": 0.0}, {"plan.alpha": 0.5}]


def test_random_points_do_not_depend_on_how_many_there_are():
    space = {"plan.alpha": {"low": 0.0, "high": 1.0}, "train.lr": {"low": 1e-6, "high": 1e-3, "log": True}}
    few, many = (points(recipe_of(search="random", space=space, num_samples=num)) for num in (5, 40))
    assert many[:5] == few
    assert len({tuple(point.items()) for point in many}) == 40
    below = sum(point["train.lr"] < 3.16e-5 for point in many)
    assert 8 <= below <= 32  # the logarithm is uniform


def test_a_point_that_is_drawn_again_is_one_trial():
    recipe = recipe_of(search="random", space={"plan.alpha": [0.0, 0.5, 1.0]}, num_samples=50, seeds=[0, 1])
    trials = listed_trials(recipe)
    assert len({trial.name for trial in trials}) == len(trials) == 6


@given(st.integers(0, 5), st.integers(1, 40), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_drawn_values_are_on_the_grid_of_the_step_and_in_the_range(low, width, step):
    space = {
        "train.warmup": {"low": low / 100, "high": (low + width) / 100, "step": step / 100},
        "train.steps": {"low": low + 1, "high": low + width + 1, "step": step},
    }
    for point in points(recipe_of(search="random", space=space, num_samples=30)):
        for name, unit, first in (("train.warmup", 100, low), ("train.steps", 1, low + 1)):
            value = point[name] * unit
            assert first - 1e-9 <= value <= first + width + 1e-9
            assert (value - first) / step == pytest.approx(round((value - first) / step), abs=1e-6)


def test_whole_bounds_of_a_real_field_are_a_real_range():
    space = {"plan.alpha": {"low": 0, "high": 1}, "plan.batch_size": {"low": 2, "high": 5}}
    drawn = points(recipe_of(search="random", space=space, num_samples=60))
    assert len({point["plan.alpha"] for point in drawn}) > 40
    assert {point["plan.batch_size"] for point in drawn} == {2, 3, 4, 5}
    assert [is_whole(name) for name in ("plan.alpha", "plan.batch_size", "plan.lang_temperature")] == [
        False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"plan.alpha": [0.5, 1.5]}, r"plan\.alpha=1\.5 is not allowed: at most 1"),
        ({"plan.alhpa": [0.5]}, r"plan\.alhpa=0\.5 is not allowed: unknown field"),
        ({"plan.alpha": {"low": 0.0, "high": 2.0}}, r"plan\.alpha=2\.0 is not allowed"),
        ({"train.steps": {"low": -5, "high": 20}}, r"train\.steps=-5 is not allowed"),
        ({"plan.pairs": ["mixed", "both"]}, r"plan\.pairs='both' is not allowed"),
        ({"model.base": ["a", "b"]}, r"tune\.space\.model\.base cannot be varied: .*vary fields of plan, model, train"),
        ({"train.seed": [0, 1]}, r"tune\.space\.train\.seed cannot be varied: .*seeds by tune\.seeds"),
        ({"corpus.max_query_tokens": [32]}, r"tune\.space\.corpus\.max_query_tokens cannot be varied"),
        ({"alpha": [0.5]}, r"tune\.space\.alpha cannot be varied"),
    ],
)
def test_a_space_is_checked_before_any_trial(space, message):
    with pytest.raises(ConfigError, match=message):
        check_space(recipe_of(search="random", space=space))


def test_a_good_space():
    check_space(recipe_of(search="random", space={"plan.alpha": {"low": 0, "high": 1}, "train.lr": [1e-5, 3e-5]}))
