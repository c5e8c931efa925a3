"""Figures: one set of colours, PNG for MLflow and SVG for pages.

Figures are `matplotlib.figure.Figure` themselves: no display, no global state.
"""

from __future__ import annotations

import io
import re
from html import escape

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = {
    "page": ("#f7f7f5", "#15171a"),
    "card": ("#ffffff", "#1d2024"),
    "ink": ("#1c1d1f", "#e8e8e6"),
    "dim": ("#62666d", "#9ba0a8"),
    "line": ("#dcdcd8", "#33373d"),
    "track": ("#ebebe7", "#2a2e33"),
    "mono": ("#3b6fb6", "#6d9ede"),
    "pool": ("#2f9468", "#4dbb8a"),
    "more": ("#b5542f", "#e08a63"),
    "less": ("#6a59a8", "#a294de"),
    "good": ("#1f7a4d", "#79d3a5"),
    "fair": ("#8a6100", "#e5bf5c"),
    "poor": ("#b03030", "#f39a94"),
    "good-bg": ("#e0f2e8", "#173527"),
    "fair-bg": ("#faeecb", "#3a3015"),
    "poor-bg": ("#fae0de", "#432120"),
    "plain-bg": ("#e9e9e6", "#2c3036"),
}
"""Name -> the colour of a light page and of a dark one. Figures are drawn with the light ones."""
DPI = 150


def colour(name: str) -> str:
    """The colour of `COLOURS` to draw with."""
    return COLOURS[name][0]


def plain_axes(axes: Axes) -> None:
    """Thin lines, no box, and everything in the colours that follow a page's."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(colour("line"))
    axes.tick_params(colors=colour("dim"), labelsize=10, length=3)
    axes.xaxis.label.set(color=colour("dim"), size=10)
    axes.yaxis.label.set(color=colour("dim"), size=10)
    axes.patch.set_visible(False)


def figure_png(figure: Figure) -> bytes:
    """The figure as PNG."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def figure_svg(figure: Figure, label: str) -> str:
    """The figure as SVG to stand in a page; the same figure gives the same text.

    Its colours become those of the page, so that they follow a dark one; text stays text. What an artist's gid says is
    shown under the pointer. `label` says to those who do not see the figure what it shows.
    """
    buffer = io.StringIO()
    no_dates = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.hashsalt": "hbt_ray", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=no_dates)
    box, body = re.findall(r'<svg[^>]* viewBox="([^"]*)"[^>]*>(.*)</svg>', buffer.getvalue(), re.DOTALL)[0]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[\w.]+_\d+">', "<g>", body)  # names of matplotlib's, the same in every figure of a page
    body = re.sub(r"<g id=([\"'])(.*?)\1>", r"<g><title>\2</title>", body)
    body = body.replace("xlink:href", "href")
    for name, (light, _) in COLOURS.items():
        body = body.replace(light, f"var(--{name})")
    return f'<svg class="chart" viewBox="{box}" role="img" aria-label="{escape(label)}">{body.strip()}</svg>'
