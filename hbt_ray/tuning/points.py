"""Which trials a study has: points of the search space, each with every seed."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbt_ray.config import Recipe
from hbt_ray.recipes import override_recipe

SEED = "train.seed"


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
    points = _grid(recipe) if recipe.tune.search == "grid" else _random(recipe)
    return [TrialSpec.of(point, seed) for seed in recipe.tune.seeds for point in points]


def check_space(recipe: Recipe) -> None:
    """ConfigError where a value of the space is not allowed in its field, before any trial starts."""
    for name, values in recipe.tune.space.items():
        for value in (values["low"], values["high"]) if isinstance(values, dict) else values:
            override_recipe(recipe, {name: value})


def _grid(recipe: Recipe) -> list[dict[str, Any]]:
    space = recipe.tune.space
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]


def _random(recipe: Recipe) -> list[dict[str, Any]]:
    """Point i depends on i alone, so that a study with more samples goes on from one with fewer."""
    points = []
    for number in range(recipe.tune.num_samples):
        rng = np.random.default_rng((0, number))
        points.append({name: _draw(values, rng) for name, values in recipe.tune.space.items()})
    return points


def _draw(values: Any, rng: np.random.Generator) -> Any:
    if not isinstance(values, dict):
        return values[int(rng.integers(len(values)))]
    low, high = values["low"], values["high"]
    bounds = (math.log(low), math.log(high)) if values.get("log") else (low, high)
    value = float(rng.uniform(*bounds))
    value = math.exp(value) if values.get("log") else value
    if step := values.get("step"):
        value = low + round((value - low) / step) * step
    whole = all(isinstance(bound, int) and not isinstance(bound, bool) for bound in (low, high))
    return round(value) if whole else float(f"{value:.6g}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
