"""The arms of a study by name: `X-X`, `X-Y`, `source`, `untrained`, of `tune.arms`, or a point such as `alpha=0.5`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hbt_ray.config import Recipe
from hbt_ray.errors import ConfigError
from hbt_ray.study.points import allows
from hbt_ray.study.points_on_set import Point, PointsOnSet
from hbt_ray.study.trials import NO_MIX

ALPHAS = {"X-X": ("xx", 1.0), "X-Y": ("xy", 0.0)}
"""Arm -> its baseline, and its alpha: monolingual batches only, cross-lingual batches only."""


def find_arm(on_set: PointsOnSet, name: str, like: Point | None) -> int | None:
    """Position of an arm among the points; None where the study has none.

    Of several, the one that has most values in common with `like`, and of those the one with the most seeds.
    """
    points = on_set.points
    if name in ALPHAS:
        places = [at for at, point in enumerate(points) if _has_alpha(point, ALPHAS[name][1])]
    elif name in NO_MIX or not _fields(name):
        places = [at for at, point in enumerate(points) if point.name == name]
    else:
        fields = _fields(name)
        places = [at for at, point in enumerate(points) if not point.control and _matches(point.values, fields)]

    def likeness(at: int) -> tuple[int, int]:
        same = sum(like is not None and value == like.values.get(field) for field, value in points[at].values.items())
        return same, points[at].num_seeds

    return max(places, key=likeness, default=None)


def check_arms(recipe: Recipe) -> None:
    """ConfigError where a claim names an arm that the study will not have, before any trial starts."""
    for claim in recipe.tune.claims:
        for arm in (claim.above, claim.below):
            if not _has_arm(recipe, arm):
                fields = ", ".join(name.split(".")[-1] for name in recipe.tune.space)
                raise ConfigError(
                    f"tune.claims: {arm!r} is no arm of this study; use X-X, X-Y, source or untrained as far as "
                    f"tune.baselines has them ({', '.join(recipe.tune.baselines) or 'none'}), one of tune.arms "
                    f"({', '.join(recipe.tune.arms) or 'none'}), or a point of tune.space as FIELD=VALUE "
                    f"(fields: {fields})"
                )


def _has_arm(recipe: Recipe, arm: str) -> bool:
    tune = recipe.tune
    if arm in NO_MIX or arm in tune.arms:
        return arm in (*tune.baselines, *tune.arms)
    if arm in ALPHAS:
        baseline, alpha = ALPHAS[arm]
        return baseline in tune.baselines or allows(tune.space.get("plan.alpha", [recipe.plan.alpha]), alpha)
    fields = _fields(arm)
    named = {field: [name for name in tune.space if _is_called(name, field)] for field in fields}
    return bool(fields) and all(
        len(names) == 1 and allows(tune.space[names[0]], fields[field]) for field, names in named.items()
    )


def _has_alpha(point: Point, alpha: float) -> bool:
    """Whether it was trained with this alpha throughout, in all languages."""
    config = point.trials[0].config
    constant = config.get("plan.alpha_schedule", "constant") == "constant"
    own = point.control in ("", *(baseline for baseline, _ in ALPHAS.values()))
    return config.get("plan.alpha") == alpha and constant and point.trained and own


def _fields(name: str) -> dict[str, Any]:
    """`alpha=0.5, lr=1e-4` -> {"alpha": 0.5, "lr": 0.0001}; empty where it is not of this form."""
    parts = [part.partition("=") for part in name.split(",")]
    if not all(equals and field.strip() and text.strip() for field, equals, text in parts):
        return {}
    return {field.strip(): _value(text.strip()) for field, _, text in parts}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _matches(values: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether a point has the values of all fields that a name states."""
    return bool(fields) and all(
        any(_is_called(name, field) and value == wanted for name, value in values.items())
        for field, wanted in fields.items()
    )


def _is_called(name: str, field: str) -> bool:
    """Whether `plan.alpha` is meant by `alpha` or `plan.alpha`."""
    return field in (name, name.split(".")[-1])
