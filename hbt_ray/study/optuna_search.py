"""Optuna as the searcher of a study; what is known from before is told to it first, what was cut off is tried first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.repeater import TRIAL_INDEX

from hbt_ray.config import Recipe
from hbt_ray.study.points import TrialSpec, is_whole
from hbt_ray.study.trials import Trial

SAMPLER_SEED = 0
MAX_DRAWS = 64


def make_searcher(recipe: Recipe, known: Sequence[Trial], unfinished: Sequence[TrialSpec]) -> Any:
    """A Ray Tune searcher over `tune.space`, for one metric or for the Pareto front of several.

    With several seeds a point is repeated and judged by its means. A point whose seeds are not all done is asked for
    again; the trials of it that have a result answer with it at once.
    """
    tune = recipe.tune
    complete, partial = _by_point(known, tune.metrics, len(tune.seeds))
    again = {tuple(spec.point.items()): spec.point for spec in unfinished} | partial
    several = len(tune.metrics) > 1
    searcher = OptunaSearch(
        distributions(recipe),
        metric=list(tune.metrics) if several else tune.metrics[0],
        mode=list(tune.modes) if several else tune.modes[0],
        points_to_evaluate=list(again.values()) or None,
        # moves with what is known: a resumed study must not draw the same first points again
        seed=SAMPLER_SEED + len(known),
    )
    for point, values in complete:
        # Ray's own method takes one value a point, and there may be several
        told = optuna.trial.create_trial(values=values, params=point, distributions=searcher._space)
        searcher._ot_study.add_trial(told)
    return SeedMeans(DistinctPoints(searcher, [point for point, _ in complete]), len(tune.seeds))


def num_complete(known: Sequence[Trial], num_seeds: int) -> int:
    """Points of which all seeds are done."""
    return sum(num >= num_seeds for num in Counter(_key(result.spec.point) for result in known).values())


class DistinctPoints(Searcher):  # type: ignore[misc]
    """Suggests what another searcher suggests, but no point twice; ends when nothing new comes up."""

    def __init__(self, searcher: Searcher, seen: Sequence[dict[str, Any]]) -> None:
        super().__init__(metric=searcher.metric, mode=searcher.mode)
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

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Passed on."""
        self._searcher.on_trial_complete(self._inner_id.pop(trial_id), result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its results."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""


class SeedMeans(Searcher):  # type: ignore[misc]
    """Asks another searcher for a point once, for trials with each seed, and tells it their means.

    Ray's `Repeater` does so for a single metric. A seed that failed is left out of the means; where none has all the
    metrics, the point has failed.
    """

    def __init__(self, searcher: Searcher, num_seeds: int) -> None:
        super().__init__(metric=searcher.metric, mode=searcher.mode)
        self._searcher, self._num_seeds = searcher, num_seeds
        self._metrics = [self.metric] if isinstance(self.metric, str) else list(self.metric)
        self._first: dict[str, str] = {}  # trial -> the trial that its point was asked for by
        self._point: dict[str, Any] = {}
        self._current = ""
        self._asked = num_seeds
        self._ended: dict[str, list[list[float]]] = {}

    def suggest(self, trial_id: str) -> Any:
        """The current point with its next seed, by number; a new point after the last one."""
        if self._asked == self._num_seeds:
            point = self._searcher.suggest(trial_id)
            if not isinstance(point, dict):
                return point
            self._point, self._current, self._asked = point, trial_id, 0
            self._ended[trial_id] = []
        self._first[trial_id] = self._current
        self._asked += 1
        return {**self._point, TRIAL_INDEX: self._asked - 1}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: a point is judged when all its seeds have ended."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The means are told with the last seed."""
        first = self._first.pop(trial_id)
        found = [float((result or {}).get(metric, np.nan)) for metric in self._metrics]
        ended = self._ended[first]
        ended.append(found)
        if len(ended) == self._num_seeds:
            whole = np.array([row for row in self._ended.pop(first) if np.isfinite(row).all()])
            means = dict(zip(self._metrics, whole.mean(axis=0).tolist(), strict=True)) if len(whole) else None
            self._searcher.on_trial_complete(first, means, error=means is None)

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
    known: Sequence[Trial], metrics: Sequence[str], num_seeds: int
) -> tuple[list[tuple[dict[str, Any], list[float]]], dict[tuple[Any, ...], dict[str, Any]]]:
    """Points with all their seeds and the means of the metrics over them; and the points with some."""
    values: dict[tuple[Any, ...], list[list[float]]] = {}
    points: dict[tuple[Any, ...], dict[str, Any]] = {}
    for result in known:
        key = _key(result.spec.point)
        points[key] = result.spec.point
        values.setdefault(key, []).append([result.metrics.get(metric, float("nan")) for metric in metrics])
    complete = [(points[key], np.mean(rows, axis=0)) for key, rows in values.items() if len(rows) >= num_seeds]
    partial = {key: points[key] for key, rows in values.items() if len(rows) < num_seeds}
    return [(point, means.tolist()) for point, means in complete if np.isfinite(means).all()], partial


def _key(point: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted((name, str(value)) for name, value in point.items()))
