"""Optuna's suggestions and the rules of early stopping, without training anything."""

import math
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.search.repeater import TRIAL_INDEX

from hbt_ray.config.load import build_recipe
from hbt_ray.errors import ConfigError
from hbt_ray.study.optuna_search import OptunaPoints
from hbt_ray.study.points import TrialSpec, check_metric
from hbt_ray.study.schedulers import make_scheduler
from hbt_ray.study.trials import Trial

TWO = ["dev/pool_map", "dev/rank_distance"]


def recipe_of(**tune):
    space = {"plan.alpha": {"low": 0.0, "high": 1.0}}
    return build_recipe({"train": {"eval_every": 100}, "tune": {"search": "optuna", "space": space, **tune}})


def scores(alpha, seed=0):
    """The best mAP is at 0.3, the smallest rank distance at 0.1: the front is what lies between."""
    return {"dev/pool_map": 1 - (alpha - 0.3) ** 2, "dev/rank_distance": 100 * abs(alpha - 0.1) + seed}


def searched(searcher, num_trials):
    asked = []
    for number in range(num_trials):
        config = searcher.suggest(f"t{number}")
        asked.append(config)
        searcher.on_trial_complete(f"t{number}", scores(config["plan.alpha"], config[TRIAL_INDEX]))
    return asked


def test_one_metric_is_sought_by_its_mean_over_seeds():
    searcher = OptunaPoints(recipe_of(metric="dev/rank_distance", seeds=[5, 6, 7]), [], [])
    asked = searched(searcher, 90)
    assert [config[TRIAL_INDEX] for config in asked[:6]] == [0, 1, 2, 0, 1, 2]
    assert len({config["plan.alpha"] for config in asked}) == 30
    best = searcher.study.best_trial
    assert abs(best.params["plan.alpha"] - 0.1) < 0.1
    assert best.value == pytest.approx(100 * abs(best.params["plan.alpha"] - 0.1) + 1)


def test_of_several_metrics_the_front_is_sought():
    recipe = recipe_of(metric=TWO, seeds=[0, 1])
    assert (recipe.tune.metrics, recipe.tune.modes) == (tuple(TWO), ("max", "min"))
    searcher = OptunaPoints(recipe, [], [])
    searched(searcher, 120)
    front = searcher.study.best_trials
    alphas = [trial.params["plan.alpha"] for trial in front]
    assert len(front) > 5
    assert all(0.05 < alpha < 0.35 for alpha in alphas)
    for trial in front:
        expected = [scores(trial.params["plan.alpha"])[name] for name in TWO]
        assert trial.values == pytest.approx([expected[0], expected[1] + 0.5])


def test_what_is_known_is_told_with_all_its_metrics_and_not_asked_again():
    recipe = recipe_of(metric=TWO)
    known = [Trial(TrialSpec.of({"plan.alpha": alpha}, 0), "finished", 10, scores(alpha)) for alpha in (0.1, 0.3, 0.9)]
    searcher = OptunaPoints(recipe, known, [TrialSpec.of({"plan.alpha": 0.7}, 0)])
    assert [trial.values for trial in searcher.study.get_trials() if trial.values] == [
        pytest.approx(list(result.metrics.values())) for result in known
    ]
    asked = [config["plan.alpha"] for config in searched(searcher, 10)]
    assert asked[0] == 0.7  # was cut off
    assert not {0.1, 0.3, 0.9} & set(asked)


def test_a_seed_that_failed_is_left_out_and_a_point_without_any_has_failed():
    searcher = OptunaPoints(recipe_of(seeds=[0, 1]), [], [])
    for number in range(4):
        searcher.suggest(f"t{number}")
    searcher.on_trial_complete("t0", None, error=True)
    searcher.on_trial_complete("t1", {"dev/pool_map": 0.5})
    searcher.on_trial_complete("t2", None, error=True)
    searcher.on_trial_complete("t3", {"dev/pool_map": math.nan})
    assert [(trial.state.name, trial.value) for trial in searcher.study.trials] == [
        ("COMPLETE", 0.5),
        ("FAIL", None),
    ]


def test_several_metrics_are_for_optuna_alone():
    with pytest.raises(ConfigError, match="one metric, or with search=optuna"):
        recipe_of(search="random", metric=TWO)
    with pytest.raises(ConfigError, match="one metric, or with search=optuna"):
        recipe_of(metric=TWO, asha=True)
    with pytest.raises(ConfigError, match=r"tune\.median_stopping=True is not allowed: false with tune\.asha"):
        recipe_of(median_stopping=True, asha=True)
    with pytest.raises(ConfigError, match=r"train\.eval_every=100 is not allowed: 1 to 49 with tune\.median_stopping"):
        build_recipe({"train": {"eval_every": 100, "steps": 50}, "tune": {"median_stopping": True}})
    check_metric(recipe_of(metric=TWO))
    with pytest.raises(ConfigError, match="'xquad_r/pool_map'"):
        check_metric(recipe_of(metric=["dev/pool_map", "xquad_r/pool_map"]))


class StandIn:
    """What schedulers know a trial by."""

    status, config = "RUNNING", {}

    def __init__(self, trial_id):
        self.trial_id = trial_id


def ran(scheduler, name, curve, batch_size=100):
    """How far a trial gets that scores `curve` at steps 100, 200 and so on of 100 pairs."""
    trial = StandIn(name)
    controller = SimpleNamespace(get_live_trials=lambda: [SimpleNamespace(status="PENDING")])
    if hasattr(scheduler, "_trial_info"):
        scheduler.on_trial_add(controller, trial)
    for at, value in enumerate(curve):
        step = 100 * (at + 1) * 100 // batch_size
        result = {"step": step, "pairs": step * batch_size, "dev/pool_map": value, "training_iteration": at + 1}
        if scheduler.on_trial_result(controller, trial, result) == TrialScheduler.STOP:
            return at
    scheduler.on_trial_complete(controller, trial, result)
    return len(curve)


@pytest.mark.parametrize("batch_size", [100, 50])
@pytest.mark.parametrize("rule", [{"median_stopping": True}, {"asha": True, "asha_reduction": 2.0}])
def test_weak_trials_are_stopped_after_as_many_pairs_and_strong_ones_are_not(rule, batch_size):
    scheduler = make_scheduler(recipe_of(asha_grace_steps=200, **rule))
    for number in range(4):
        assert ran(scheduler, f"good{number}", [0.3, 0.4, 0.5, 0.6 + 0.01 * number]) == 4
    assert ran(scheduler, "weak", [0.1, 0.1, 0.1, 0.1], batch_size) == 1  # not before the second evaluation
    assert ran(scheduler, "strong", [0.5, 0.6, 0.7, 0.8], batch_size) == 4


def test_without_early_stopping_trials_run_to_the_end():
    scheduler = make_scheduler(recipe_of())
    assert ran(scheduler, "a", [0.9, 0.9]) == 2
    assert ran(scheduler, "b", [0.0, 0.0]) == 2
