"""Optuna as the searcher of a study: a Ray Tune searcher around its `ask` and `tell`.

A study is resumed from its records: the points that they know are added to Optuna's study first, those that were cut
off are asked for first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from ray.tune.search import Searcher
from ray.tune.search.repeater import TRIAL_INDEX

from hbt_ray.config import Recipe
from hbt_ray.study.points import TrialSpec, is_whole
from hbt_ray.study.trials import Trial

SAMPLER_SEED = 0
MAX_DRAWS = 64


class OptunaPoints(Searcher):  # type: ignore[misc]
    """Draws points of `tune.space`, each once, for one metric or for the Pareto front of several.

    A point is asked for once and given out with every seed of the study; it is judged by the means of its seeds. A
    seed that failed is left out of them; where none has all the metrics, the point has failed. A point whose seeds are
    not all done is asked for again; the trials of it that have a result answer with it at once.

    Attributes:
        study: Optuna's.
    """

    def __init__(self, recipe: Recipe, known: Sequence[Trial], unfinished: Sequence[TrialSpec]) -> None:
        """
        Args:
            recipe: of the study.
            known: results that stand.
            unfinished: trials that were cut off.
        """
        tune = recipe.tune
        several = len(tune.metrics) > 1
        super().__init__(
            metric=list(tune.metrics) if several else tune.metrics[0],
            mode=list(tune.modes) if several else tune.modes[0],
        )
        self._metrics, self._num_seeds = tune.metrics, len(tune.seeds)
        self._distributions = distributions(recipe)
        complete, partial = _by_point(known, tune.metrics, self._num_seeds)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            directions=["maximize" if mode == "max" else "minimize" for mode in tune.modes],
            # moves with what is known: a resumed study must not draw the same first points again
            sampler=optuna.samplers.TPESampler(seed=SAMPLER_SEED + len(known)),
        )
        for point, values in complete:
            told = optuna.trial.create_trial(values=values, params=point, distributions=self._distributions)
            self.study.add_trial(told)
        for point in ({tuple(spec.point.items()): spec.point for spec in unfinished} | partial).values():
            self.study.enqueue_trial(point)
        self._seen = {_key(point) for point, _ in complete}
        self._asked: optuna.Trial | None = None
        self._num_given = 0
        self._of_trial: dict[str, optuna.Trial] = {}
        self._ended: dict[int, list[list[float]]] = {}

    def suggest(self, trial_id: str) -> Any:
        """The current point with its next seed, by number; after the last seed a new point, or FINISHED."""
        if self._asked is None or self._num_given == self._num_seeds:
            if (asked := self._new_point()) is None:
                return Searcher.FINISHED
            self._asked, self._num_given, self._ended[asked.number] = asked, 0, []
        self._of_trial[trial_id] = self._asked
        self._num_given += 1
        return {**self._asked.params, TRIAL_INDEX: self._num_given - 1}

    def _new_point(self) -> optuna.Trial | None:
        for _ in range(MAX_DRAWS):
            asked = self.study.ask(self._distributions)
            if (key := _key(asked.params)) not in self._seen:
                self._seen.add(key)
                return asked
            self.study.tell(asked, state=TrialState.FAIL)
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: a point is judged when all its seeds have ended."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """With the last seed, Optuna is told the means."""
        asked = self._of_trial.pop(trial_id)
        ended = self._ended[asked.number]
        ended.append([float((result or {}).get(metric, np.nan)) for metric in self._metrics])
        if len(ended) == self._num_seeds:
            whole = np.array([row for row in self._ended.pop(asked.number) if np.isfinite(row).all()])
            if len(whole):
                self.study.tell(asked, whole.mean(axis=0).tolist())
            else:
                self.study.tell(asked, state=TrialState.FAIL)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its records."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""


def num_complete(known: Sequence[Trial], num_seeds: int) -> int:
    """Points of which all seeds are done."""
    return sum(num >= num_seeds for num in Counter(_key(result.spec.point) for result in known).values())


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
