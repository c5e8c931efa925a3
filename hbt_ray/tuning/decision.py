"""What the study says: a row a point, and the point to use."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from hbt_ray.tuning.results import TrialResult

COLUMNS = {
    "mono_map": "mono mAP",
    "cross_map": "cross mAP",
    "multi_map": "multi mAP",
    "rank_distance": "rank distance",
}


@dataclass(frozen=True)
class PointSummary:
    """A point over its seeds: means of the metrics of one set."""

    point: dict[str, Any]
    results: tuple[TrialResult, ...]

    def mean(self, metric: str) -> float:
        """Mean over the seeds that have the metric, NaN where none has."""
        values = [result.metrics[metric] for result in self.results if metric in result.metrics]
        return float(np.mean(values)) if values else math.nan


def summarise(results: Sequence[TrialResult]) -> list[PointSummary]:
    """Points of the trials that ran to the end, in order of their values."""
    points: dict[str, list[TrialResult]] = {}
    for result in results:
        if result.status == "finished":
            points.setdefault(json.dumps(result.spec.point, sort_keys=True), []).append(result)
    summaries = [PointSummary(found[0].spec.point, tuple(found)) for found in points.values()]
    return sorted(summaries, key=lambda summary: _in_order(summary.point))


def recommend(summaries: Sequence[PointSummary], metric: str, mode: str) -> PointSummary | None:
    """The point with the best mean of `metric`, among those with the most seeds that ran to the end.

    A point that lost its bad seeds to failures or early stopping would look better than it is.
    """
    scored = [summary for summary in summaries if not math.isnan(summary.mean(metric))]
    most = max((len(summary.results) for summary in scored), default=0)
    scored = [summary for summary in scored if len(summary.results) == most]
    sign = 1 if mode == "max" else -1
    return max(scored, key=lambda summary: sign * summary.mean(metric), default=None)


def verdict(results: Sequence[TrialResult], metric: str, mode: str) -> str:
    """One sentence: the recommended point and what it rests on."""
    summaries = summarise(results)
    best = recommend(summaries, metric, mode)
    if best is None:
        return f"no recommendation: no trial ran to the end with a score for {metric}"
    point = ", ".join(f"{name.split('.')[-1]} = {value}" for name, value in best.point.items())
    seeds = f"{len(best.results)} seed" + ("s" if len(best.results) > 1 else "")
    left_out = sum(len(summary.results) < len(best.results) for summary in summaries)
    others = f"; {left_out} points with fewer seeds are left out" if left_out else ""
    best_mean = f"{'highest' if mode == 'max' else 'lowest'} mean {metric} = {best.mean(metric):.4g} over {seeds}"
    return f"recommended {point}: {best_mean}{others}"


def scored_sets(results: Sequence[TrialResult]) -> list[str]:
    """Names of the sets that finished trials were scored on, dev first."""
    names = {name.rsplit("/", 1)[0] for result in results for name in result.metrics if name.endswith("/multi_map")}
    return sorted(names, key=lambda name: (name != "dev", name))


def study_table(name: str, results: Sequence[TrialResult], run_ids: dict[str, str]) -> Table:
    """A row a trial: what it varied, the headline scores on set `name`, and its run id."""
    fields = sorted({field for result in results for field in result.spec.point})
    table = Table(title=f"scores on {name}", title_justify="left")
    for field in (*fields, "train.seed"):
        table.add_column(field.split(".")[-1], justify="right")
    for title in COLUMNS.values():
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("run id", no_wrap=True)
    for result in sorted(results, key=lambda result: _in_order(dict(result.spec.overrides))):
        values = dict(result.spec.overrides)
        scores = [_number(result.metrics.get(f"{name}/{key}"), key) for key in COLUMNS]
        mark = "" if result.status == "finished" else f" ({result.status})"
        table.add_row(
            *(str(values.get(field, "")) for field in (*fields, "train.seed")),
            *scores,
            run_ids.get(result.spec.name, "") + mark,
        )
    return table


def _in_order(values: dict[str, Any]) -> list[tuple[str, float, str]]:
    """Sorts by the fields' values: numbers as numbers, before all else."""
    return [
        (name, float(value), "") if isinstance(value, int | float) else (name, math.inf, json.dumps(value))
        for name, value in values.items()
    ]


def _number(value: float | None, key: str) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.1f}" if key == "rank_distance" else f"{value:.4f}"
