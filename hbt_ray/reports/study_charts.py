"""The charts of a study: what each configuration gives up, each number against alpha, and what is traded for what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.optimize import isotonic_regression  # type: ignore[import-untyped]

from hbt_ray.arrays import FloatArray
from hbt_ray.config.headline import ABOUT, METRICS
from hbt_ray.kit.figures import colour, plain_axes
from hbt_ray.kit.prose import number
from hbt_ray.study.analysis import SetAnalysis
from hbt_ray.study.decision import Decision
from hbt_ray.study.trials import FOUR, NAMES, NO_MIX, shown

ALPHA = "plan.alpha"
SIZE = (4.4, 3.0)
"""Inches; a page shows an inch as about 75 pixels."""
SHORT = {"mono_map": "inside", "cross_map": "across", "pool_map": "pool"}
MARKS = {"mono_map": ("o", "mono"), "cross_map": ("D", "more"), "pool_map": ("s", "pool")}
"""Number -> marker and colour in the picture of losses; any other number has those of `OTHER_MARK`."""
OTHER_MARK = ("^", "less")
MOST_ROWS = 24
DODGE = 0.018
"""Of alpha, between points of one alpha that differ in other fields."""
LABEL_GAP = 0.08
"""Of the height of a chart, between the labels of two lines."""
STYLES: dict[str, dict[str, Any]] = {
    "chosen": {"mfc": colour("pool"), "mec": colour("card"), "ms": 9.0, "zorder": 4},
    "front": {"mfc": colour("mono"), "mec": colour("card"), "ms": 7.5, "zorder": 3},
    "other": {"mfc": colour("dim"), "mec": colour("card"), "ms": 7.5, "zorder": 3},
    "control": {"mfc": colour("card"), "mec": colour("ink"), "ms": 7.0, "zorder": 3},
}
"""How points are drawn; the dots of the page's legend have the same names."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chart:
    """One chart of one set."""

    heading: str
    note: str
    figure: Figure


Drawing = Callable[[SetAnalysis, int | None], Chart | None]
"""(the points of a set, position of the recommended one) -> its chart; None where there is nothing to draw."""


def losses_figure(scored: SetAnalysis, decision: Decision) -> Figure:
    """A row a configuration that takes part, with its loss in each number; the worst one counts.

    Where the spread between seeds is known, a line stands at the end of the confidence set. Of many configurations the
    best are drawn.
    """
    points, losses = scored.on_set.points, decision.losses * list(decision.weights.values())
    taking_part = {*decision.candidates, *decision.guarded, *decision.below_base}
    rows = sorted(sorted(taking_part, key=lambda at: decision.worst[at])[:MOST_ROWS])
    figure = Figure(figsize=(5.4, 1.3 + 0.38 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    plain_axes(axes)
    axes.grid(axis="x", color=colour("line"), lw=0.8)
    axes.set_axisbelow(True)
    at_row = {at: row for row, at in enumerate(rows)}
    axes.axhspan(at_row[decision.recommended] - 0.5, at_row[decision.recommended] + 0.5, color=colour("good-bg"), lw=0)
    for at, row in at_row.items():
        axes.hlines(row, 0, max(decision.worst[at], 0), color=colour("ink"), lw=1.2, alpha=0.4)
    for column, name in enumerate(decision.weights):
        marker, shade = MARKS.get(name, OTHER_MARK)
        style: dict[str, Any] = {
            "marker": marker,
            "mfc": colour(shade),
            "mec": colour("card"),
            "ms": 7.5,
            "mew": 1.0,
            "ls": "",
        }
        axes.plot([], [], label=ABOUT[name][0], **style)
        beside = 0.2 * (column - (len(decision.weights) - 1) / 2)
        for at, row in at_row.items():
            title = f"{points[at].label}: {losses[at, column]:.1%} of {ABOUT[name][0]}"
            axes.plot([losses[at, column]], [row + beside], gid=title, zorder=3, **style)
    if decision.seeds_known and len(decision.candidates) > 1:
        limit = decision.worst[decision.recommended] + decision.reach
        axes.axvline(limit, color=colour("ink"), lw=1.2, ls="--", label="end of the confidence set (95%)")
    axes.set_yticks(range(len(rows)), [points[at].label for at in rows])
    for at, text in zip(rows, axes.get_yticklabels(), strict=True):
        text.set_color(colour("ink" if at in decision.confidence_set else "dim"))
        text.set_fontweight("bold" if at == decision.recommended else "normal")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.set_xlabel("given up of the best" + (", weighted" if set(decision.weights.values()) != {1.0} else ""))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9, labelcolor=colour("ink"))
    return figure


def charts(scored: SetAnalysis, chosen: int | None) -> dict[str, Chart]:
    """All of `CHARTS` that the set has the numbers for."""
    drawn = {name: draw(scored, chosen) for name, draw in CHARTS.items()}
    return {name: chart for name, chart in drawn.items() if chart is not None}


def against_alpha(scored: SetAnalysis, chosen: int | None, metric: str) -> Chart | None:
    """One number against alpha, with a dot a seed, or by point where alpha was not varied.

    Controls that stand for no alpha are dashed lines, as long as they leave the other points most of the height.
    """
    points = scored.on_set.points
    if metric not in scored.on_set.metrics:
        return None
    figure, axes = _axes()
    means, intervals = _means(scored, metric), scored.intervals[metric]
    places, families = _places(axes, scored)
    for family in families:
        axes.plot([places[at] for at in family], means[family], color=colour("dim"), lw=1.2, alpha=0.55)
    for at, place in places.items():
        seeds = points[at].numbers[:, scored.on_set.at(metric)]
        axes.vlines(place, *intervals[at], color=colour("ink"), lw=1.3)
        if len(seeds) > 1:
            beside = place - 0.028 * np.ptp(axes.get_xlim())
            axes.plot([beside] * len(seeds), seeds, ".", color=colour("dim"), alpha=0.5)
        _mark(axes, place, means[at], _kind(scored, at, chosen), f"{points[at].label}: {number(metric, means[at])}")
    low, high = axes.get_ylim()
    without = sorted(set(range(len(points))) - set(places), key=lambda at: means[at])
    lines = [at for at in without if low - (high - low) <= means[at] <= high + (high - low)]
    for at in lines:
        axes.axhline(means[at], color=colour("ink"), lw=1, ls="--", alpha=0.6)
    low, high = axes.get_ylim()
    for at, y in zip(lines, apart(means[lines], LABEL_GAP * (high - low)), strict=True):
        name = points[at].control or points[at].label
        axes.annotate(name, (1.01, y), xycoords=("axes fraction", "data"), va="center", size=9, color=colour("ink"))
    off_chart = [f"{points[at].label} {number(metric, means[at])}" for at in without if at not in lines]
    note = "lower is fairer" if metric == "rank_distance" else "higher is better"
    note += f"; off the chart: {', '.join(off_chart)}" if off_chart else ""
    return Chart(heading=METRICS[metric][0], note=note, figure=figure)


def apart(values: FloatArray, gap: float) -> FloatArray:
    """Places for the labels of rising `values`: no two closer than `gap`, and together as near to them as that lets."""
    steps = gap * np.arange(len(values))
    places: FloatArray = steps + isotonic_regression(values - steps).x if len(values) else values
    return places


def trade(scored: SetAnalysis, chosen: int | None, across: str, up: str) -> Chart | None:
    """Two numbers against each other, with the intervals of both; of all points that stand for a mix."""
    points = scored.on_set.points
    mixes = [at for at, point in enumerate(points) if point.control not in NO_MIX]
    if len(mixes) < 2 or not {across, up} <= set(scored.on_set.metrics):
        return None
    figure, axes = _axes()
    x, y = _means(scored, across), _means(scored, up)
    for at in mixes:
        axes.hlines(y[at], *scored.intervals[across][at], color=colour("ink"), lw=1.3, alpha=0.3)
        axes.vlines(x[at], *scored.intervals[up][at], color=colour("ink"), lw=1.3, alpha=0.3)
        title = f"{points[at].label}: {number(across, x[at])}, {number(up, y[at])}"
        _mark(axes, x[at], y[at], _kind(scored, at, chosen), title)
        values = points[at].values
        arm = points[at].name if points[at].name not in NAMES else ""
        label = arm or (shown(values[ALPHA]) if set(values) == {ALPHA} else str(at + 1))
        offset = (6, -13 if at % 2 else 5)
        axes.annotate(label, (x[at], y[at]), offset, textcoords="offset points", size=10, color=colour("ink"))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.set_xlabel(METRICS[across][0])
    heading = f"{SHORT[up].capitalize()} against {SHORT[across]}"
    return Chart(heading=heading, note="best at the top right", figure=figure)


CHARTS: Mapping[str, Drawing] = {
    **{metric: partial(against_alpha, metric=metric) for metric in FOUR},
    "pool_against_mono": partial(trade, across="mono_map", up="pool_map"),
    "cross_against_mono": partial(trade, across="mono_map", up="cross_map"),
}
"""Name of the chart, and of its file -> how it is drawn."""


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    plain_axes(axes)
    axes.grid(axis="y", color=colour("line"), lw=0.8)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    return figure, axes


def _places(axes: Axes, scored: SetAnalysis) -> tuple[dict[int, float], list[list[int]]]:
    """Where points stand from left to right, and which are joined: those that differ in alpha alone.

    Controls that stand for no alpha have no place, where the others have one.
    """
    points = scored.on_set.points
    mixes = [at for at, point in enumerate(points) if point.control not in NO_MIX]
    if not mixes or not all(isinstance(points[at].values.get(ALPHA), int | float) for at in mixes):
        axes.set_xlabel("point, see the table")
        axes.set_xlim(0.5, len(points) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        return {at: at + 1.0 for at in range(len(points))}, []
    places = {at: float(points[at].values[ALPHA]) for at in mixes}
    axes.set_xlabel("alpha: share of monolingual batches")
    axes.set_xlim(-0.05, 1.05)
    distinct = sorted(set(places.values()))
    ticks = distinct if len(distinct) <= 11 else np.linspace(0, 1, 6).tolist()
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    families: dict[str, list[int]] = {}
    for at in sorted(mixes, key=lambda at: places[at]):
        rest = {name: value for name, value in points[at].values.items() if name != ALPHA}
        arm = points[at].label if points[at].name not in ("", *NAMES) else ""  # differs in fields that are no values
        families.setdefault(json.dumps([arm, rest], sort_keys=True), []).append(at)
    if len(distinct) < len(places):
        for index, family in enumerate(families.values()):
            places |= {at: places[at] + DODGE * (index - (len(families) - 1) / 2) for at in family}
    return places, list(families.values())


def _means(scored: SetAnalysis, metric: str) -> np.ndarray:
    return np.array([point.means[scored.on_set.at(metric)] for point in scored.on_set.points])


def _mark(axes: Axes, x: float, y: float, kind: str, title: str) -> None:
    axes.plot([x], [y], "o", mew=1.2, gid=title, **STYLES[kind])


def _kind(scored: SetAnalysis, at: int, chosen: int | None) -> str:
    if at == chosen:
        return "chosen"
    return "control" if not scored.on_set.points[at].eligible else "front" if scored.front[at] else "other"
