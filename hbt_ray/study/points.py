"""Which trials a study has: points of the search space, each with every seed."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any, get_type_hints

import numpy as np

from hbt_ray.config import Recipe
from hbt_ray.config.headline import HEADLINE
from hbt_ray.config.load import override_recipe
from hbt_ray.errors import ConfigError

SEED = "train.seed"
MAX_CORNERS = 64
VARIABLE = ("plan", "model", "train")
"""Sections whose fields a study can vary."""
SHARED = ("model.base", "model.trust_remote_code", SEED)
"""Fields of these that all trials of a study have alike, or that `tune.seeds` varies."""


@dataclass(frozen=True)
class TrialSpec:
    """A point with a seed: dotted field -> value."""

    overrides: tuple[tuple[str, Any], ...]

    @staticmethod
    def of(point: dict[str, Any], seed: int) -> TrialSpec:
        """The trial of `point` with `seed`."""
        return TrialSpec(tuple(sorted({**point, SEED: seed}.items())))

    @property
    def point(self) -> dict[str, Any]:
        """The fields that the study varies, without the seed."""
        return {name: value for name, value in self.overrides if name != SEED}

    @property
    def seed(self) -> int:
        """Of this trial."""
        return int(dict(self.overrides)[SEED])

    @property
    def label(self) -> str:
        """For people: `alpha=0.5 seed=0`."""
        fields = [f"{name.split('.')[-1]}={_short(value)}" for name, value in self.point.items()]
        return " ".join([*fields, f"seed={self.seed}"])

    @property
    def name(self) -> str:
        """For directories: readable, and unique by a hash where values were shortened."""
        digest = hashlib.sha256(json.dumps(self.overrides, sort_keys=True).encode()).hexdigest()[:6]
        return f"{re.sub(r'[^A-Za-z0-9.]+', '_', self.label)[:60]}-{digest}"

    def recipe(self, recipe: Recipe) -> Recipe:
        """The study's recipe with this trial's values, at the compute of the others (`tune.equal_compute`)."""
        return at_equal_compute(override_recipe(recipe, dict(self.overrides)), recipe)


def listed_trials(recipe: Recipe) -> list[TrialSpec]:
    """All trials of a grid or random study, in order: seed by seed, so that every point has a score early."""
    points = [as_in_recipe(point, recipe) for point in LISTED[recipe.tune.search](recipe)] if recipe.tune.space else []
    trials = [TrialSpec.of(point, seed) for seed in recipe.tune.seeds for point in points]
    return list({trial.name: trial for trial in trials}.values())  # a point drawn twice is one trial


def arm_point(recipe: Recipe, name: str) -> dict[str, Any]:
    """What an arm of `tune.arms` sets, and the recipe's own values of what the space varies besides."""
    arm = as_in_recipe(recipe.tune.arms[name], recipe)
    return values_of(recipe, set(recipe.tune.space) - set(arm)) | arm


def arm_trials(recipe: Recipe) -> list[TrialSpec]:
    """The trials of all arms, seed by seed."""
    return [TrialSpec.of(arm_point(recipe, name), seed) for seed in recipe.tune.seeds for name in recipe.tune.arms]


def at_equal_compute(changed: Recipe, recipe: Recipe) -> Recipe:
    """`changed` with as many steps of its batch size as see the pairs that `recipe` sees, less than a batch apart.

    Evaluations and checkpoints are as many pairs apart too; where that is no whole number of steps, a step later.
    """
    before, now = recipe.plan.batch_size, changed.plan.batch_size
    if not recipe.tune.scales_steps or now == before or not changed.train.steps:
        return changed
    every = {name: -(-getattr(changed.train, name) * before // now) for name in ("eval_every", "checkpoint_every")}
    return override_recipe(
        changed,
        {
            "train.steps": max(1, changed.train.steps * before // now),
            **{f"train.{name}": steps for name, steps in every.items()},
        },
    )


def known_recipes(recipe: Recipe) -> list[Recipe]:
    """The recipes of all trials; for a searcher, which has none yet, those of the corners of its space."""
    arms = [spec.recipe(recipe) for spec in arm_trials(recipe)]
    if recipe.tune.search in LISTED:
        return [*(spec.recipe(recipe) for spec in listed_trials(recipe)), *arms]
    corners = [
        (values["low"], values["high"]) if isinstance(values, dict) else values for values in recipe.tune.space.values()
    ]
    points = itertools.islice(itertools.product(*corners), MAX_CORNERS)
    specs = [TrialSpec.of(dict(zip(recipe.tune.space, point, strict=True)), recipe.tune.seeds[0]) for point in points]
    return [*(spec.recipe(recipe) for spec in specs), *arms]


def check_space(recipe: Recipe) -> None:
    """ConfigError where a field cannot be varied or a value is not allowed in it, before any trial starts."""
    tune = recipe.tune
    values = {f"tune.space.{name}": (name, each) for name, each in tune.space.items()}
    values |= {
        f"tune.arms.{arm}.{name}": (name, [each]) for arm, row in tune.arms.items() for name, each in row.items()
    }
    for where, (name, allowed) in values.items():
        if name.split(".")[0] not in VARIABLE or name in SHARED:
            raise ConfigError(
                f"{where} cannot be varied: the trials of a study share the corpus, the base model and the "
                f"evaluation; vary fields of {', '.join(VARIABLE)} (seeds by tune.seeds), and compare others by studies"
            )
        for value in (allowed["low"], allowed["high"]) if isinstance(allowed, dict) else allowed:
            override_recipe(recipe, {name: value})
    points = {json.dumps(arm_point(recipe, arm), sort_keys=True): arm for arm in tune.arms}
    if len(points) < len(tune.arms):
        same = next(arm for arm in tune.arms if arm not in points.values())
        raise ConfigError(f"tune.arms.{same} sets what another arm sets; leave one of them out")


def check_metric(recipe: Recipe, *, has_dev: bool = True) -> None:
    """ConfigError where no trial would have the metric that ranks points; `has_dev`: the corpus has dev items."""
    sets = [*(["dev"] if has_dev else []), *(part.partition(":")[0] for part in recipe.evaluation.sets)]
    for metric in recipe.tune.metrics:
        name, _, key = metric.rpartition("/")
        if name not in sets or key not in HEADLINE:
            raise ConfigError(
                f"tune.metric={metric!r}: trials are scored on {', '.join(sets) or 'nothing'} by "
                f"{', '.join(HEADLINE)}; use SET/METRIC, e.g. dev/pool_map, and keep dev items (corpus.dev_ids or "
                "corpus.dev_share)"
            )
        if (recipe.tune.stops_early or recipe.tune.search not in LISTED) and name != "dev":
            raise ConfigError(
                f"tune.metric={metric!r}: early stopping and optuna need a dev metric, which is scored on the way"
            )


def is_whole(name: str) -> bool:
    """Whether the field `section.name` of a recipe holds whole numbers."""
    section, _, field = name.partition(".")
    hints: dict[str, Any] = get_type_hints(type(getattr(Recipe(), section)))
    return hints.get(field) is int


def allows(values: Any, value: Any) -> bool:
    """Whether `value` is one of a field of the search space: of a list, or of a range {low, high, log, step}."""
    if not isinstance(values, dict):
        return value in values
    if not isinstance(value, int | float) or not values["low"] <= value <= values["high"]:
        return False
    steps = (float(value) - values["low"]) / float(values["step"]) if values.get("step") else 0.0
    return bool(abs(steps - round(steps)) < 1e-9)


def as_in_recipe(point: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Values as the recipe has them (1 is 1.0 where a float is meant), so that a point has one name."""
    return values_of(override_recipe(recipe, point), point)


def values_of(recipe: Recipe, fields: Iterable[str]) -> dict[str, Any]:
    """Dotted field -> value, as plain types."""
    resolved = recipe.resolved()
    return {name: reduce(getitem, name.split("."), resolved) for name in fields}


def _grid(recipe: Recipe) -> list[dict[str, Any]]:
    space = recipe.tune.space
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]


def _random(recipe: Recipe) -> list[dict[str, Any]]:
    """Point i depends on i alone, so that a study with more samples goes on from one with fewer."""
    points = []
    for number in range(recipe.tune.num_samples):
        rng = np.random.default_rng((0, number))
        points.append({name: _draw(name, values, rng) for name, values in recipe.tune.space.items()})
    return points


LISTED: dict[str, Callable[[Recipe], list[dict[str, Any]]]] = {"grid": _grid, "random": _random}
"""`tune.search` -> the points of the study, known from the start; any other is a searcher, which learns from scores."""


def _draw(name: str, values: Any, rng: np.random.Generator) -> Any:
    if not isinstance(values, dict):
        return values[int(rng.integers(len(values)))]
    low, high = values["low"], values["high"]
    whole = is_whole(name)
    step = values.get("step", 1 if whole and not values.get("log") else None)
    if step:
        value = low + step * int(rng.integers(math.floor((high - low) / step * (1 + 1e-12)) + 1))
    elif values.get("log"):
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
    else:
        value = float(rng.uniform(low, high))
    return round(value) if whole else min(max(float(f"{value:.6g}"), low), high)


def _short(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return "+".join(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
