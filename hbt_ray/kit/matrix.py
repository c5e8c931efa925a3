"""The matrix of query languages (rows) and passage languages (columns).

Cells with numbers in a page, where there are few languages; a heat map in a page where there are many, and for MLflow.
Colours and scale are the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray
from hbt_ray.kit.figures import colour, figure_svg

MAX_CELL_LANGS = 15
"""Languages up to which a cell has room for its number."""
MISSING_COLOUR = "#b8b8b8"
MAP = colormaps["viridis"].with_extremes(bad=MISSING_COLOUR)

Scale = tuple[float, float]


class Cell(NamedTuple):
    """One cell of the matrix in a page."""

    text: str
    title: str
    background: str
    ink: str


class PageMatrix(NamedTuple):
    """The matrix as the macro `matrix` of `parts.html.j2` draws it: `cells` of few languages, `heat` of many."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: list[list[Cell]]
    heat: str
    """SVG, the languages with the highest sums first; empty where there are cells."""
    values: str
    """Thousandths of the cells of `heat` by row, `-` for NaN: read when a pointer is over a cell."""
    scale: Scale
    gradient: str
    """The scale of colours, for CSS."""


def scale_of(matrices: Sequence[NDArray[Any]]) -> Scale:
    """One scale of colours for matrices that are looked at together: from 0 to the highest value."""
    known = np.concatenate([matrix[~np.isnan(matrix)] for matrix in matrices])
    return 0.0, max(float(known.max()), 0.01) if known.size else 1.0


def page_matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    values: FloatArray,
    scale: Scale,
    cell_text: Callable[[float], str],
    title: Callable[[int, int], str],
) -> PageMatrix:
    """The matrix of `values` [rows, columns], in 0..1 and NaN where undefined.

    `cell_text` writes the number of a cell, `title` what is shown when a pointer is over the cell (row, column).
    """
    stops = ", ".join(to_hex(MAP(place)) for place in np.linspace(0, 1, 9))
    gradient = f"linear-gradient(to right, {stops})"
    if max(len(rows), len(columns)) <= MAX_CELL_LANGS:
        cells = [
            [Cell(cell_text(value), title(row, column), *_colours(value, scale)) for column, value in enumerate(line)]
            for row, line in enumerate(values.tolist())
        ]
        return PageMatrix(tuple(rows), tuple(columns), cells, "", "", scale, gradient)
    sums = dict.fromkeys((*rows, *columns), 0.0)
    for langs, totals in ((rows, np.nansum(values, axis=1)), (columns, np.nansum(values, axis=0))):
        for lang, total in zip(langs, totals.tolist(), strict=True):
            sums[lang] += total
    places = [sorted(range(len(langs)), key=lambda place: -sums[langs[place]]) for langs in (rows, columns)]
    ordered = values[np.ix_(*places)]
    rows, columns = (tuple(langs[p] for p in order) for langs, order in zip((rows, columns), places, strict=True))
    figure = Figure(figsize=_size(len(columns), len(rows)), layout="constrained")
    _draw(figure.add_subplot(), rows, columns, ordered, scale, label_scale=1.3)  # a browser's letters are narrower
    texts = " ".join("-" if np.isnan(value) else str(round(1000 * value)) for value in ordered.ravel().tolist())
    label = f"Heat map of {len(rows)} by {len(columns)} languages"
    return PageMatrix(rows, columns, [], figure_svg(figure, label), texts, scale, gradient)


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
    width, height = _size(num, num)
    figure = Figure(figsize=(width + 1.4, height + 0.8), layout="constrained")
    axes = figure.add_subplot()
    image = _draw(axes, langs, langs, values, scale_of([values]))
    axes.set_xlabel("passage language")
    axes.set_ylabel("query language")
    figure.suptitle(fill(title, int(8 * figure.get_figwidth())))  # 8 characters an inch fit
    bar_axes = axes.inset_axes((1 + 0.12 / width, 0.0, 0.2 / width, 1.0))  # as tall as the matrix, 0.2 inches wide
    bar = figure.colorbar(image, cax=bar_axes, label="mAP")
    bar.outline.set_visible(False)
    if num <= MAX_CELL_LANGS:
        for (row, column), value in np.ndenumerate(values):
            text = "–" if np.isnan(value) else f"{value:.2f}"
            ink = _colours(float(value), image.get_clim())[1]
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    if np.isnan(values).any():
        missing = Patch(color=MISSING_COLOUR, label="no queries")
        figure.legend(handles=[missing], loc="outside lower right", frameon=False, fontsize=8)
    return figure


def _size(num_columns: int, num_rows: int) -> tuple[float, float]:
    """Inches for cells with their labels."""
    cell = float(np.interp(max(num_columns, num_rows), [2, 15, 32, 128], [0.75, 0.55, 0.3, 0.125]))
    return max(num_columns * cell, 2.4) + 0.9, max(num_rows * cell, 0.5) + 0.9


def _draw(
    axes: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    values: NDArray[Any],
    scale: Scale,
    label_scale: float = 1.0,
) -> AxesImage:
    num = max(len(rows), len(columns))
    # Without interpolation a page gets one pixel a cell.
    shown = np.ma.masked_invalid(values)
    image = axes.imshow(shown, cmap=MAP, vmin=scale[0], vmax=scale[1], interpolation="none")
    size = float(np.interp(num, [15, 32, 128], [10, 9, 5.5])) * label_scale
    axes.set_xticks(range(len(columns)), columns, rotation=0 if num <= MAX_CELL_LANGS else 90, fontsize=size)
    axes.set_yticks(range(len(rows)), rows, fontsize=size)
    axes.tick_params(length=0, labelcolor=colour("ink"))
    axes.spines[:].set_visible(False)
    return image


def _colours(value: float, scale: Scale) -> tuple[str, str]:
    """Colour of a cell, and of the text on it."""
    if np.isnan(value):
        return MISSING_COLOUR, "#000000"
    red, green, blue, _ = shade = MAP(Normalize(*scale)(value))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55  # perceived brightness
    return to_hex(shade), "#ffffff" if dark else "#000000"
