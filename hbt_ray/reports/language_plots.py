"""What a report draws: the language matrix as cells or as an image, and bars by language."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.image import imsave

from hbt_ray.arrays import FloatArray
from hbt_ray.languages import lang_name
from hbt_ray.retrieval.scoring.lang_intervals import lang_intervals
from hbt_ray.retrieval.scoring.pool_shares import due_and_found
from hbt_ray.retrieval.scoring.score import Scores

MAX_CELL_LANGS = 15
"""Languages up to which the matrix is a table with a number in each cell."""
IMAGE_WIDTH, MIN_CELL, MAX_CELL = 1000, 8, 20
"""Width that the image should have, in CSS pixels, and the bounds of its cells; a label is as high as a cell."""
MISSING_COLOUR = "#b8b8b8"
COLOURS = colormaps["viridis"].with_extremes(bad=MISSING_COLOUR)


class Cell(NamedTuple):
    """One cell of the matrix table."""

    text: str
    background: str
    ink: str
    title: str


class MatrixImage(NamedTuple):
    """The matrix as an image, for more languages than a table can hold."""

    langs: tuple[str, ...]
    """Codes in the order of rows and columns: best languages first."""
    names: tuple[str, ...]
    cell: int
    """Side of a cell, in CSS pixels."""
    png: str
    """Data URI, one pixel a cell."""
    values: str
    """Thousandths of the cells by row, separated by blanks, empty where NaN: read when a pointer is over a cell."""


class Bar(NamedTuple):
    """One bar; ends in percent of the width of its track."""

    start: float
    end: float
    label: str
    low: float | None = None
    """Ends of the interval; None where there is none."""
    high: float | None = None


class LangBars(NamedTuple):
    """The bars of one language."""

    lang: str
    name: str
    bars: dict[str, Bar]
    """Kind, which has a colour of its own -> the bar."""


def limits(matrices: Sequence[FloatArray]) -> tuple[float, float]:
    """One scale of colours for matrices that are looked at together: from 0 to the highest value."""
    known = np.concatenate([matrix[~np.isnan(matrix)] for matrix in matrices])
    return 0.0, max(float(known.max()), 0.01) if known.size else 1.0


def matrix_cells(
    query_langs: Sequence[str], passage_langs: Sequence[str], matrix: FloatArray, scale: tuple[float, float]
) -> list[list[Cell]]:
    """The matrix, query languages x passage languages, as coloured cells with numbers."""
    rows = []
    for query, values in zip(query_langs, matrix, strict=True):
        row = []
        for passage, value in zip(passage_langs, values, strict=True):
            title = f"{lang_name(query)} → {lang_name(passage)}: {_decimals(value)}"
            row.append(Cell(_decimals(value), *_colours(float(value), scale), title))
        rows.append(row)
    return rows


def matrix_image(langs: Sequence[str], matrix: FloatArray, scale: tuple[float, float]) -> MatrixImage:
    """The [L, L] matrix as an image, languages by the mean of their row and column, highest first."""
    known = np.where(np.isnan(matrix), 0.0, matrix)
    order = np.argsort(-(known.sum(axis=0) + known.sum(axis=1)), kind="stable")
    ordered = matrix[np.ix_(order, order)]
    buffer = io.BytesIO()
    imsave(buffer, COLOURS(np.ma.masked_invalid((ordered - scale[0]) / (scale[1] - scale[0]))), format="png")
    codes = tuple(langs[at] for at in order)
    return MatrixImage(
        codes,
        tuple(lang_name(code) for code in codes),
        min(max(IMAGE_WIDTH // len(langs), MIN_CELL), MAX_CELL),
        f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}",
        " ".join("-" if np.isnan(value) else str(round(1000 * value)) for value in ordered.ravel()),
    )


def gradient() -> str:
    """The scale of colours as a CSS gradient."""
    stops = ", ".join(_hex(COLOURS(at)) for at in np.linspace(0, 1, 9))
    return f"linear-gradient(to right, {stops})"


def score_bars(scores: Scores) -> list[LangBars]:
    """mAP inside the language ("mono") and in the pool ("pool") with intervals, the lowest in the pool first; of the
    languages that ask."""
    columns = {"mono": (np.diagonal(scores.map_matrix), scores.per_query.mono_ap)}
    columns["pool"] = (scores.pool_map, scores.per_query.pool_ap)
    drawn = {name: (means, *lang_intervals(scores, values)) for name, (means, values) in columns.items()}
    rows = []
    for at in np.argsort(scores.pool_map, kind="stable"):
        bars = {
            name: Bar(0.0, 100 * means[at], _decimals(means[at]), _percent(low[at]), _percent(high[at]))
            for name, (means, low, high) in drawn.items()
            if not np.isnan(means[at])
        }
        if bars:
            rows.append(LangBars(scores.langs[at], lang_name(scores.langs[at]), bars))
    return rows


def share_bars(scores: Scores) -> list[LangBars]:
    """Share in the top k of the pool minus what is due, in percentage points, the most favoured language first; of
    the languages that have passages."""
    due, found = due_and_found(scores)
    excess = found - due
    widest = max(float(np.abs(excess).max()), 1e-9)
    rows = []
    for at in np.argsort(-excess, kind="stable"):
        if not scores.num_passages[at]:
            continue
        side = 50 + 50 * excess[at] / widest
        bar = Bar(min(50.0, side), max(50.0, side), f"{100 * excess[at]:+.2f}")
        rows.append(LangBars(scores.langs[at], lang_name(scores.langs[at]), {"more" if side >= 50 else "less": bar}))
    return rows


def distance_bars(scores: Scores) -> list[LangBars]:
    """Rank distance and the place of the last parallel answer ("last") of every query language that has them, the
    largest distance first; in places."""
    widest = max(float(np.nanmax(scores.worst_rank)), 1.0)
    rows = []
    for at in np.argsort(-scores.rank_distance, kind="stable"):
        values = {"distance": scores.rank_distance[at], "last": scores.worst_rank[at]}
        if not np.isnan(values["distance"]):
            bars = {name: Bar(0.0, 100 * value / widest, f"{value:,.0f}") for name, value in values.items()}
            rows.append(LangBars(scores.langs[at], lang_name(scores.langs[at]), bars))
    return rows


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else 100 * float(value)


def _decimals(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _colours(value: float, scale: tuple[float, float]) -> tuple[str, str]:
    if np.isnan(value):
        return MISSING_COLOUR, "#000"
    colour = COLOURS((value - scale[0]) / (scale[1] - scale[0]))
    red, green, blue = colour[:3]
    return _hex(colour), "#fff" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "#000"


def _hex(colour: tuple[float, float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])
