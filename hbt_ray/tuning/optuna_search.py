"""Optuna as the searcher of a study; what is known from earlier sessions is told to it first."""

from __future__ import annotations

from typing import Any

from hbt_ray.config import Recipe
from hbt_ray.tuning.points import is_whole
from hbt_ray.tuning.results import TrialResult

SAMPLER_SEED = 0


def make_searcher(recipe: Recipe, known: list[TrialResult]) -> Any:
    """A Ray Tune searcher over `tune.space`; with several seeds each point is repeated and judged by its mean."""
    from ray.tune.search import Repeater
    from ray.tune.search.optuna import OptunaSearch

    tune = recipe.tune
    # A seed that moves with what is known: a resumed study must not draw the same first points again.
    searcher = OptunaSearch(_distributions(recipe), metric=tune.metric, mode=tune.mode, seed=SAMPLER_SEED + len(known))
    for result in known:
        if tune.metric in result.metrics:
            searcher.add_evaluated_point(result.spec.point, result.metrics[tune.metric])
    return Repeater(searcher, repeat=len(tune.seeds)) if len(tune.seeds) > 1 else searcher


def _distributions(recipe: Recipe) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    out: dict[str, Any] = {}
    for name, values in recipe.tune.space.items():
        if not isinstance(values, dict):
            out[name] = CategoricalDistribution(list(values))
            continue
        low, high, log, step = values["low"], values["high"], bool(values.get("log")), values.get("step")
        if is_whole(name):
            out[name] = IntDistribution(int(low), int(high), log=log, step=int(step or 1))
        else:
            out[name] = FloatDistribution(float(low), float(high), log=log, step=step)
    return out
