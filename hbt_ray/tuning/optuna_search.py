"""Optuna as the searcher of a study; what is known from before is told to it first, what was cut off is tried first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray.tune.search import Repeater, Searcher
from ray.tune.search.optuna import OptunaSearch

from hbt_ray.config import Recipe
from hbt_ray.tuning.points import TrialSpec, is_whole
from hbt_ray.tuning.results import TrialResult

SAMPLER_SEED = 0
MAX_DRAWS = 64


def make_searcher(recipe: Recipe, known: Sequence[TrialResult], unfinished: Sequence[TrialSpec]) -> Any:
    """A Ray Tune searcher over `tune.space`.

    With several seeds a point is repeated and judged by its mean. A point whose seeds are not all done is asked for
    again; the trials of it that have a result answer with it at once.
    """
    tune = recipe.tune
    complete, partial = _by_point(known, tune.metric, len(tune.seeds))
    again = {tuple(spec.point.items()): spec.point for spec in unfinished} | partial
    searcher = OptunaSearch(
        distributions(recipe),
        metric=tune.metric,
        mode=tune.mode,
        points_to_evaluate=list(again.values()) or None,
        # moves with what is known: a resumed study must not draw the same first points again
        seed=SAMPLER_SEED + len(known),
    )
    for point, value in complete:
        searcher.add_evaluated_point(point, value)
    distinct = DistinctPoints(searcher, [point for point, _ in complete], metric=tune.metric, mode=tune.mode)
    return Repeater(distinct, repeat=len(tune.seeds)) if len(tune.seeds) > 1 else distinct


def num_complete(known: Sequence[TrialResult], num_seeds: int) -> int:
    """Points of which all seeds are done."""
    return sum(num >= num_seeds for num in Counter(_key(result.spec.point) for result in known).values())


class DistinctPoints(Searcher):  # type: ignore[misc]
    """Suggests what another searcher suggests, but no point twice; ends when nothing new comes up."""

    def __init__(self, searcher: Searcher, seen: Sequence[dict[str, Any]], *, metric: str, mode: str) -> None:
        super().__init__(metric=metric, mode=mode)
        self._searcher = searcher
        self._seen = {_key(point) for point in seen}
        self._inner_id: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """A new point, or FINISHED."""
        for attempt in range(MAX_DRAWS):
            inner_id = f"{trial_id}-{attempt}"
            point = self._searcher.suggest(inner_id)
            if not isinstance(point, dict):
                return point
            if (key := _key(point)) not in self._seen:
                self._seen.add(key)
                self._inner_id[trial_id] = inner_id
                return point
            self._searcher.on_trial_complete(inner_id, error=True)
        return Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Passed on."""
        self._searcher.on_trial_result(self._inner_id[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Passed on."""
        self._searcher.on_trial_complete(self._inner_id.pop(trial_id), result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its results."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""


def distributions(recipe: Recipe) -> dict[str, BaseDistribution]:
    """The search space in Optuna's terms."""
    out: dict[str, BaseDistribution] = {}
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


def _by_point(
    known: Sequence[TrialResult], metric: str, num_seeds: int
) -> tuple[list[tuple[dict[str, Any], float]], dict[tuple[Any, ...], dict[str, Any]]]:
    """Points with all their seeds and the mean of the metric over them; and the points with some."""
    values: dict[tuple[Any, ...], list[float]] = {}
    points: dict[tuple[Any, ...], dict[str, Any]] = {}
    for result in known:
        key = _key(result.spec.point)
        points[key] = result.spec.point
        values.setdefault(key, []).append(result.metrics.get(metric, float("nan")))
    complete = [(points[key], float(np.mean(found))) for key, found in values.items() if len(found) >= num_seeds]
    partial = {key: points[key] for key, found in values.items() if len(found) < num_seeds}
    return [(point, value) for point, value in complete if np.isfinite(value)], partial


def _key(point: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted((name, str(value)) for name, value in point.items()))
