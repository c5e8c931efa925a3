"""Figures: the query-language x passage-language matrix, and what the search over alpha found.

Drawn on `matplotlib.figure.Figure` directly: no display, no global state, safe in any thread.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

MAX_NUMBERED = 15  # languages up to which a cell has room for its number
MISSING_COLOUR = "#e4e4e4"
DPI = 150


@dataclass(frozen=True, kw_only=True)
class AlphaPoint:
    """One finished trial of the search: scores in 0..1, rank distance in ranks."""

    alpha: float
    """Probability of a monolingual step."""
    seed: int
    """Seed of the trial."""
    mono: float
    """Monolingual mAP."""
    cross: float
    """Cross-lingual mAP."""
    pool: float
    """mAP over the pool of all languages."""
    rank_distance: float
    """Language bias: how far apart parallel answers are ranked; smaller is fairer."""


def matrix_figure(langs: Sequence[str], values: NDArray[Any], title: str) -> Figure:
    """A heat map with one row a query language and one column a passage language.

    Args:
        langs: the L language codes, for rows and columns alike.
        values: [L, L], scores in 0..1; NaN where a pair has no queries.
        title: above the matrix.

    Raises:
        ValueError: the shape does not fit the languages.
    """
    num = len(langs)
    if values.shape != (num, num) or num == 0:
        raise ValueError(f"matrix of shape {values.shape} for {num} languages; give [{num}, {num}]")
    cell = float(np.interp(num, [2, 15, 32, 128], [0.75, 0.55, 0.3, 0.125]))  # inches
    side = max(num * cell, 2.4)
    figure = Figure(figsize=(side + 2.3, side + 1.7), layout="constrained")
    axes = figure.add_subplot()
    colours = colormaps["viridis"].with_extremes(bad=MISSING_COLOUR)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if high - low < 0.01:  # all but equal: do not blow noise up into contrast
        low, high = low - 0.05, high + 0.05
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=low, vmax=high)
    size = float(np.interp(num, [15, 32, 128], [10, 9, 5.5]))
    axes.set_xticks(range(num), langs, rotation=0 if num <= MAX_NUMBERED else 90, fontsize=size)
    axes.set_yticks(range(num), langs, fontsize=size)
    axes.set_xlabel("passage language")
    axes.set_ylabel("query language")
    figure.suptitle(fill(title, int(8 * figure.get_figwidth())))  # 8 characters an inch fit
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar_axes = axes.inset_axes((1 + 0.12 / side, 0.0, 0.2 / side, 1.0))  # as tall as the matrix, 0.2 inches wide
    bar = figure.colorbar(image, cax=bar_axes, label="mAP")
    bar.outline.set_visible(False)
    if num <= MAX_NUMBERED:
        _number_cells(axes, values, lambda v: colours((v - low) / (high - low)))
    if known.size < values.size:
        missing = Patch(color=MISSING_COLOUR, label="no queries")
        figure.legend(handles=[missing], loc="outside lower right", frameon=False, fontsize=8)
    return figure


def _number_cells(axes: Axes, values: NDArray[Any], colour_of: Callable[[float], Any]) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue = colour_of(float(value))[:3]
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55  # perceived brightness of the cell
            ink, text = ("white" if dark else "black"), f"{value:.2f}"
        else:
            ink, text = "#777777", "–"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)


SCORES = (
    ("mono", "monolingual", "#3b6fb6"),
    ("cross", "cross-lingual", "#d9822b"),
    ("pool", "multilingual", "#3a923a"),
)


def alpha_figure(points: Sequence[AlphaPoint]) -> Figure:
    """mAP (left) and rank distance (right) against alpha: a dot a seed, a line through the means.

    Raises:
        ValueError: no points.
    """
    if not points:
        raise ValueError("no trial has finished: there is nothing to draw over alpha")
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    scores, bias = figure.subplots(1, 2)
    for field, label, colour in SCORES:
        _dots_and_mean(scores, points, field, label, colour)
    _dots_and_mean(bias, points, "rank_distance", "rank distance", "#7a4fa3")
    scores.set_ylabel("mAP (higher is better)")
    bias.set_ylabel("rank distance (lower is fairer)")
    scores.legend(frameon=False, fontsize=9)
    for axes in (scores, bias):
        axes.set_xlabel("alpha (share of monolingual batches)")
        axes.set_xlim(-0.04, 1.04)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _dots_and_mean(axes: Axes, points: Sequence[AlphaPoint], field: str, label: str, colour: str) -> None:
    ordered = sorted(points, key=lambda point: point.alpha)
    grouped = [(a, [getattr(p, field) for p in group]) for a, group in groupby(ordered, lambda p: p.alpha)]
    means = [float(np.mean(values)) for _, values in grouped]
    axes.scatter([p.alpha for p in ordered], [getattr(p, field) for p in ordered], s=16, color=colour, alpha=0.45, lw=0)
    axes.plot([a for a, _ in grouped], means, color=colour, marker="_", ms=9, label=label)


def figure_png(figure: Figure) -> bytes:
    """The figure as PNG."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
