"""What the decision report draws, in pixels of its SVG: each number against alpha, and what is traded for what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from hbt_ray.retrieval.scoring.wording import METRICS, number
from hbt_ray.study.analysis import SetAnalysis
from hbt_ray.study.point_scores import FOUR, shown
from hbt_ray.study.trials import NO_MIX

ALPHA = "plan.alpha"
WIDTH, HEIGHT = 350, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 44
TRADES = (("mono_map", "pool_map"), ("mono_map", "cross_map"))
"""Horizontal and vertical number of the charts of trades."""
SHORT = {"mono_map": "inside", "cross_map": "across", "pool_map": "pool"}
DODGE = 5
"""Pixels between points of one alpha that differ in other fields."""

Ticks = list[tuple[float, str]]


class Mark(NamedTuple):
    """One point."""

    x: float
    y: float
    low: float | None
    """Ends of the vertical interval; None where unknown."""
    high: float | None
    left: float | None
    """Ends of the horizontal interval; None where unknown or not drawn."""
    right: float | None
    seeds: tuple[float, ...]
    """Heights of the single seeds."""
    label: str
    title: str
    kind: str
    """`chosen`, `control`, `front` or `other`."""


class Panel(NamedTuple):
    """One chart."""

    heading: str
    note: str
    x_label: str
    marks: list[Mark]
    lines: list[str]
    """Polylines through the means, as SVG points."""
    levels: list[tuple[float, str]]
    """Height and name of the controls that stand for no alpha."""
    x_ticks: Ticks
    y_ticks: Ticks


def alpha_panels(found: SetAnalysis, chosen: int | None) -> list[Panel]:
    """The four numbers against alpha, or by point where alpha was not varied."""
    return [_by_alpha(found, metric, chosen) for metric in FOUR if metric in found.on_set.metrics]


def trade_panels(found: SetAnalysis, chosen: int | None) -> list[Panel]:
    """`TRADES`, less those of a number that the set does not define; none for a single point."""
    defined = [trade for trade in TRADES if set(trade) <= set(found.on_set.metrics)]
    num_mixes = sum(point.control not in NO_MIX for point in found.on_set.points)
    return [_trade(found, trade, chosen) for trade in defined if num_mixes > 1]


def _trade(found: SetAnalysis, trade: tuple[str, str], chosen: int | None) -> Panel:
    on_set = found.on_set
    drawn = [at for at, point in enumerate(on_set.points) if point.control not in NO_MIX]
    values = [np.array([point.means[on_set.at(metric)] for point in on_set.points]) for metric in trade]
    ends = [np.array(found.intervals[metric]) for metric in trade]
    x_scale = _scale(np.concatenate([values[0][drawn], ends[0][drawn].ravel()]), LEFT, WIDTH - RIGHT, 4)
    y_scale = _scale(np.concatenate([values[1][drawn], ends[1][drawn].ravel()]), HEIGHT - BOTTOM, TOP, 5)
    marks = [
        Mark(
            x=x_scale.at(values[0][at]),
            y=y_scale.at(values[1][at]),
            low=y_scale.known(ends[1][at, 0]),
            high=y_scale.known(ends[1][at, 1]),
            left=x_scale.known(ends[0][at, 0]),
            right=x_scale.known(ends[0][at, 1]),
            seeds=(),
            label=_short_label(found, at),
            title=f"{on_set.points[at].label}: {number(trade[0], values[0][at])}, {number(trade[1], values[1][at])}",
            kind=_kind(found, at, chosen),
        )
        for at in drawn
    ]
    return Panel(
        heading=f"{SHORT[trade[1]].capitalize()} against {SHORT[trade[0]]}",
        note="best at the top right",
        x_label=METRICS[trade[0]][0],
        marks=marks,
        lines=[],
        levels=[],
        x_ticks=x_scale.ticks,
        y_ticks=y_scale.ticks,
    )


class _Scale(NamedTuple):
    low: float
    high: float
    start: float
    end: float
    ticks: Ticks

    def at(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def known(self, value: float) -> float | None:
        return None if np.isnan(value) else self.at(float(value))


def _scale(values: Sequence[float] | np.ndarray, start: float, end: float, num_ticks: int) -> _Scale:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    low, high = float(known.min()), float(known.max())
    margin = max(0.08 * (high - low), 1e-3 * max(abs(low), abs(high), 1e-6))
    scale = _Scale(low - margin, high + margin, start, end, [])
    places = MaxNLocator(num_ticks, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3).tick_values(scale.low, scale.high)
    decimals = max(0, min(4, 1 - int(np.floor(np.log10(places[1] - places[0])))))
    inside = [float(place) for place in places if scale.low <= place <= scale.high]
    texts = [f"{place:,.{decimals}f}" for place in inside]
    while decimals and all(text.endswith("0") for text in texts):
        decimals -= 1
        texts = [text[:-1].removesuffix(".") for text in texts]
    return scale._replace(ticks=[(scale.at(place), text) for place, text in zip(inside, texts, strict=True)])


def _by_alpha(found: SetAnalysis, metric: str, chosen: int | None) -> Panel:
    on_set = found.on_set
    column = on_set.at(metric)
    ends = np.array(found.intervals[metric])
    seeds = [point.numbers[:, column] for point in on_set.points]
    places, x_ticks, x_label, families = _places(found)
    drawn = [at for at, place in enumerate(places) if place is not None]
    values = np.concatenate([ends[drawn].ravel(), *(seeds[at] for at in drawn)])
    beside = {at: float(on_set.points[at].means[column]) for at, place in enumerate(places) if place is None}
    near = _near(values, beside)
    scale = _scale(np.concatenate([values, list(near.values())]), HEIGHT - BOTTOM, TOP, 5)
    marks = {
        at: Mark(
            x=places[at] or 0.0,
            y=scale.at(float(on_set.points[at].means[column])),
            low=scale.known(ends[at, 0]),
            high=scale.known(ends[at, 1]),
            left=None,
            right=None,
            seeds=tuple(scale.at(float(value)) for value in seeds[at]) if len(seeds[at]) > 1 else (),
            label="",
            title=f"{on_set.points[at].label}: {number(metric, float(on_set.points[at].means[column]))}",
            kind=_kind(found, at, chosen),
        )
        for at in drawn
    }
    lines = [" ".join(f"{marks[at].x},{marks[at].y}" for at in family) for family in families if len(family) > 1]
    better = "lower is fairer" if metric == "rank_distance" else "higher is better"
    far = [f"{on_set.points[at].label} {number(metric, value)}" for at, value in beside.items() if at not in near]
    return Panel(
        heading=METRICS[metric][0],
        note="; off the chart: ".join([better, ", ".join(far)]) if far else better,
        x_label=x_label,
        marks=list(marks.values()),
        lines=lines,
        levels=[(scale.at(value), on_set.points[at].label) for at, value in near.items()],
        x_ticks=x_ticks,
        y_ticks=scale.ticks,
    )


def _near(values: np.ndarray, beside: dict[int, float]) -> dict[int, float]:
    """Of what is drawn beside `values`, what does not squeeze them: it at most doubles their range on either side."""
    known = values[np.isfinite(values)]
    span = float(np.ptp(known))
    return {at: value for at, value in beside.items() if known.min() - span <= value <= known.max() + span}


def _places(found: SetAnalysis) -> tuple[list[float | None], Ticks, str, list[list[int]]]:
    """Where points stand from left to right, None for controls of no alpha, and which are joined: those that differ in
    alpha alone."""
    points = found.on_set.points
    mixes = [at for at, point in enumerate(points) if point.control not in NO_MIX]
    if not mixes or not all(isinstance(points[at].values.get(ALPHA), int | float) for at in mixes):
        step = (WIDTH - LEFT - RIGHT) / len(points)
        numbered = [round(LEFT + (at + 0.5) * step, 1) for at in range(len(points))]
        every = max(1, -(-len(points) // 20))
        ticks = [(numbered[at], str(at + 1)) for at in range(0, len(points), every)]
        return list(numbered), ticks, "point, see the table", []
    families: dict[str, list[int]] = {}
    for at in mixes:
        rest = {name: value for name, value in points[at].values.items() if name != ALPHA}
        families.setdefault(json.dumps(rest, sort_keys=True), []).append(at)
    alphas = {at: float(points[at].values[ALPHA]) for at in mixes}
    scale = _Scale(-0.04, 1.04, LEFT, WIDTH - RIGHT, [])
    places = {at: scale.at(alpha) for at, alpha in alphas.items()}
    joined = [sorted(family, key=lambda at: alphas[at]) for family in families.values()]
    crowded = len(set(places.values())) < len(places)
    for index, family in enumerate(joined if crowded else []):
        for at in family:
            places[at] += round(DODGE * (index - (len(joined) - 1) / 2), 1)
    distinct = sorted(set(alphas.values()))
    ticked = distinct if len(distinct) <= 11 else np.linspace(0, 1, 6).tolist()
    x_ticks = [(scale.at(value), f"{value:g}") for value in ticked]
    return [places.get(at) for at in range(len(points))], x_ticks, "alpha: share of monolingual batches", joined


def _short_label(found: SetAnalysis, at: int) -> str:
    values = found.on_set.points[at].values
    return shown(values[ALPHA]) if set(values) == {ALPHA} else str(at + 1)


def _kind(found: SetAnalysis, at: int, chosen: int | None) -> str:
    if at == chosen:
        return "chosen"
    return "control" if found.on_set.points[at].control else "front" if found.front[at] else "other"
