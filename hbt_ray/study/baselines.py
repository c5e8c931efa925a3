"""The controls of a study: what every claim about a mix of batches is held against.

A baseline that lies in the search space is a point like any other, and is not trained twice. One that does not is a
control. X-X and X-Y may be recommended in either case; training in the source language alone and no training are
compared with, and take no part in the choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from hbt_ray.config import Recipe
from hbt_ray.config.tune import BaselineName
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import ConfigError, PlanError
from hbt_ray.study.points import TrialSpec, allows, arm_point, arm_trials, as_in_recipe, values_of
from hbt_ray.study.trials import NAMES, NO_MIX, Trial
from hbt_ray.training.experiment import check_plans

EVERY: tuple[BaselineName, ...] = get_args(BaselineName)


def baseline_trials(recipe: Recipe) -> list[TrialSpec]:
    """The trials of all baselines and arms, those of the space too; no fine-tuning has no seeds, and comes once.

    A baseline that fixes what the recipe has anyway is named by what the space varies, as its points are.
    """
    seeds = recipe.tune.seeds
    trials = [
        baseline_trial(recipe, name, seed)
        for seed in seeds
        for name in recipe.tune.baselines
        if name != "untrained" or seed == seeds[0]
    ]
    return list({trial.name: trial for trial in (*trials, *arm_trials(recipe))}.values())


def baseline_trial(recipe: Recipe, name: BaselineName, seed: int | None = None) -> TrialSpec:
    """A baseline with one of the study's seeds; None: the first."""
    return TrialSpec.of(baseline_point(recipe, name), recipe.tune.seeds[0] if seed is None else seed)


def baseline_point(recipe: Recipe, name: BaselineName) -> dict[str, Any]:
    """What a baseline sets: the recipe's own values of all that the study varies, and what makes it the baseline."""
    space = recipe.tune.space
    if name == "untrained":  # nothing else that can be varied changes the vectors of the base model
        return {"train.steps": 0, **values_of(recipe, set(space) & {"model.pooling"})}
    own = values_of(recipe, {*space, "plan.alpha", "plan.alpha_schedule", "plan.langs"})
    fixed: dict[str, Any] = {"plan.alpha": 0.0 if name == "xy" else 1.0, "plan.alpha_schedule": "constant"}
    if name == "source":
        fixed["plan.langs"] = [recipe.translate.source_lang]
    return {field: value for field, value in (own | fixed).items() if field in space or value != own[field]}


def baseline_of(spec: TrialSpec, recipe: Recipe) -> str | None:
    """Which arm or baseline of the recipe a trial is; None for any other.

    The source language alone and no fine-tuning are known as such where the recipe asks for them no more.
    """
    for name in recipe.tune.arms:
        if arm_point(recipe, name) == spec.point:
            return name
    names = dict.fromkeys((*recipe.tune.baselines, *(name for name in EVERY if name in NO_MIX)))
    return next((name for name in names if baseline_point(recipe, name) == spec.point), None)


def baseline_names(recipe: Recipe, trials: Iterable[Trial]) -> dict[str, str]:
    """Name of a trial -> name of the arm or baseline that it is, for those that are one."""
    baselines = {trial.spec.name: baseline_of(trial.spec, recipe) for trial in trials}
    return {trial: NAMES.get(name, name) for trial, name in baselines.items() if name}


def check_baselines(recipe: Recipe, corpus: Corpus) -> None:
    """ConfigError where the corpus cannot supply the batches of a baseline, before any trial starts."""
    for name in recipe.tune.baselines:
        try:
            check_plans([baseline_trial(recipe, name).recipe(recipe)], corpus, lambda note: None)
        except PlanError as error:
            raise ConfigError(
                f"tune.baselines: the corpus cannot supply {name!r} ({NAMES[name]}): {error}; or leave it out of "
                "tune.baselines"
            ) from None


def in_space(point: dict[str, Any], recipe: Recipe) -> bool:
    """Whether a point, with values as the recipe has them, is one of the search space."""
    space = recipe.tune.space
    return (
        bool(space)
        and set(point) == set(space)
        and all(_allowed(recipe, name, space[name], point[name]) for name in space)
    )


def controls(recipe: Recipe) -> list[str]:
    """The baselines and arms that lie outside of the search space, baselines whether the recipe asks for them or not.

    Those that stand for no mix of batches do so always.
    """
    outside = [name for name in recipe.tune.arms if not in_space(arm_point(recipe, name), recipe)]
    return outside + [name for name in EVERY if name in NO_MIX or not in_space(baseline_point(recipe, name), recipe)]


def _allowed(recipe: Recipe, name: str, values: Any, value: Any) -> bool:
    if isinstance(values, dict):
        return allows(values, value)
    return allows([as_in_recipe({name: each}, recipe)[name] for each in values], value)
