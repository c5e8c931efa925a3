"""The surface of a study of two fields, such as alpha and batch size: each number over both, and the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from hbt_ray.arrays import FloatArray
from hbt_ray.config.headline import METRICS
from hbt_ray.kit.figures import colour, plain_axes
from hbt_ray.study.analysis import SetAnalysis
from hbt_ray.study.decision import Decision
from hbt_ray.study.trials import FOUR

NUM_LEVELS = 7
WIDE = 20
"""Times the smallest value, from which on a field is drawn by its logarithm."""


def surface_figure(scored: SetAnalysis, decision: Decision) -> Figure | None:
    """Contours of the numbers of `FOUR` over two fields, linear between the points that were run, which are drawn in.

    The line joins, for each value of the second field, the candidate with the least worst loss. None unless the points
    of the search differ in two fields of numbers, and do not all lie on one line.
    """
    points = scored.on_set.points
    rows = [at for at, point in enumerate(points) if not point.control]
    fields = _two_fields([points[at].values for at in rows])
    if fields is None:
        return None
    values = np.array([[float(points[at].values[name]) for name in fields] for at in rows])
    logs = (values.min(axis=0) > 0) & (values.max(axis=0) > WIDE * values.min(axis=0))
    places = np.where(logs, np.log10(np.where(logs, values, 1.0)), values)
    if np.linalg.matrix_rank((places - places.mean(axis=0)) / np.ptp(places, axis=0), tol=1e-6) < 2:
        return None
    triangles = Triangulation(places[:, 0], places[:, 1])
    path = _path(rows, values, decision)
    metrics = [metric for metric in FOUR if metric in scored.on_set.metrics]
    figure = Figure(figsize=(8.4, 3.1 * -(-len(metrics) // 2)), layout="constrained")
    for number, metric in enumerate(metrics, start=1):
        axes = figure.add_subplot(-(-len(metrics) // 2), 2, number)
        plain_axes(axes)
        heights = np.array([points[at].means[scored.on_set.at(metric)] for at in rows])
        filled = axes.tricontourf(triangles, heights, levels=NUM_LEVELS, cmap="Blues", alpha=0.55)
        bar = figure.colorbar(filled, ax=axes)
        bar.ax.tick_params(colors=colour("dim"), labelsize=9)
        bar.outline.set_visible(False)
        axes.plot(*places[path].T, color=colour("good"), lw=1.6, zorder=2)
        for at, place in zip(rows, places, strict=True):
            is_chosen = at == decision.recommended
            style: dict[str, Any] = {"mfc": colour("pool" if is_chosen else "dim"), "ms": 9.0 if is_chosen else 6.0}
            axes.plot(*place, "o", clip_on=False, mec=colour("card"), gid=points[at].label, zorder=3, **style)
        axes.set_title(METRICS[metric].title, size=11, color=colour("ink"), loc="left")
        axes.set_xlabel(_name(fields[0], logs[0]))
        axes.set_ylabel(_name(fields[1], logs[1]))
        for axis, column in ((axes.xaxis, 0), (axes.yaxis, 1)):
            distinct = np.unique(values[:, column])
            ticks = np.log10(distinct) if logs[column] else distinct
            if len(distinct) <= 8:
                axis.set_ticks(ticks.tolist(), [f"{value:g}" for value in distinct])
    return figure


def _two_fields(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """The two fields of numbers that points differ in, alpha first."""
    names = [name for name in (rows[0] if rows else {}) if len({str(row.get(name)) for row in rows}) > 1]
    numeric = all(isinstance(row.get(name), int | float) for row in rows for name in names)
    if len(names) != 2 or not numeric:
        return None
    first, second = sorted(names, key=lambda name: (name != "plan.alpha", name))
    return first, second


def _path(rows: list[int], values: FloatArray, decision: Decision) -> list[int]:
    """Of each value of the second field, the candidate with the least worst loss, as positions in `rows`."""
    path = []
    for value in np.unique(values[:, 1]):
        here = [at for at, row in enumerate(rows) if values[at, 1] == value and row in decision.candidates]
        if here:
            path.append(min(here, key=lambda at: decision.worst[rows[at]]))
    return path


def _name(field: str, is_log: bool) -> str:
    return field.split(".")[-1] + (" (logarithmic)" if is_log else "")
