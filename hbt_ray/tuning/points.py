"""Which trials a study has: points of the search space, each with every seed."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any, get_type_hints

import numpy as np

from hbt_ray.config import Recipe
from hbt_ray.errors import ConfigError
from hbt_ray.evaluation.headline import HEADLINE
from hbt_ray.recipes import override_recipe

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
        """The study's recipe with this trial's values."""
        return override_recipe(recipe, dict(self.overrides))


def listed_trials(recipe: Recipe) -> list[TrialSpec]:
    """All trials of a grid or random study, in order: seed by seed, so that every point has a score early."""
    drawn = _grid(recipe) if recipe.tune.search == "grid" else _random(recipe)
    points = [as_in_recipe(point, recipe) for point in drawn]
    trials = [TrialSpec.of(point, seed) for seed in recipe.tune.seeds for point in points]
    return list({trial.name: trial for trial in trials}.values())  # a point drawn twice is one trial


def known_recipes(recipe: Recipe) -> list[Recipe]:
    """The recipes of all trials; for a searcher, which has none yet, those of the corners of its space."""
    if recipe.tune.search != "optuna":
        return [spec.recipe(recipe) for spec in listed_trials(recipe)]
    corners = [
        (values["low"], values["high"]) if isinstance(values, dict) else values for values in recipe.tune.space.values()
    ]
    points = itertools.islice(itertools.product(*corners), MAX_CORNERS)
    return [override_recipe(recipe, dict(zip(recipe.tune.space, point, strict=True))) for point in points]


def check_space(recipe: Recipe) -> None:
    """ConfigError where a field cannot be varied or a value is not allowed in it, before any trial starts."""
    for name, values in recipe.tune.space.items():
        if name.split(".")[0] not in VARIABLE or name in SHARED:
            raise ConfigError(
                f"tune.space.{name} cannot be varied: the trials of a study share the corpus, the base model and the "
                f"evaluation; vary fields of {', '.join(VARIABLE)} (seeds by tune.seeds), and compare others by studies"
            )
        for value in (values["low"], values["high"]) if isinstance(values, dict) else values:
            override_recipe(recipe, {name: value})


def check_metric(recipe: Recipe, *, has_dev: bool = True) -> None:
    """ConfigError where no trial would have the metric that ranks points; `has_dev`: the corpus has dev items."""
    metric = recipe.tune.metric
    name, _, key = metric.rpartition("/")
    sets = [*(["dev"] if has_dev else []), *(part.partition(":")[0] for part in recipe.evaluation.sets)]
    if name not in sets or key not in HEADLINE:
        raise ConfigError(
            f"tune.metric={metric!r}: trials are scored on {', '.join(sets) or 'nothing'} by {', '.join(HEADLINE)}; "
            "use SET/METRIC, e.g. dev/multi_map, and keep dev items (corpus.dev_ids or corpus.dev_share)"
        )
    if (recipe.tune.asha or recipe.tune.search == "optuna") and name != "dev":
        raise ConfigError(f"tune.metric={metric!r}: tune.asha and optuna need a dev metric, which is scored on the way")


def is_whole(name: str) -> bool:
    """Whether the field `section.name` of a recipe holds whole numbers."""
    section, _, field = name.partition(".")
    hints: dict[str, Any] = get_type_hints(type(getattr(Recipe(), section)))
    return hints.get(field) is int


def as_in_recipe(point: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Values as the recipe has them (1 is 1.0 where a float is meant), so that a point has one name."""
    resolved = override_recipe(recipe, point).resolved()
    return {name: reduce(getitem, name.split("."), resolved) for name in point}


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
    return f"{value:.4g}" if isinstance(value, float) else str(value)
