"""Scores as tables for the terminal."""

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hbt_ray.evaluation.score import Scores

MAX_MATRIX_LANGS = 14
"""A wider matrix does not fit a terminal of 80 columns."""


def score_table(scores: Scores) -> RenderableType:
    """The headline, and the matrix where it has at most 14 languages; print it with a rich console."""
    num_queries, num_langs = int(scores.num_queries.sum()), len(scores.langs)
    heading = Text(f"{scores.name}: {num_queries:,} queries in {num_langs} languages")
    if num_langs > MAX_MATRIX_LANGS:
        return Group(heading, headline_table(scores))
    about = Text("mAP: query language (row) on passage language (column), and on the pool")
    return Group(heading, headline_table(scores), about, matrix_table(scores))


def headline_table(scores: Scores) -> Table:
    """The headline numbers, one a row; the rank distance in places, the others from 0 to 1."""
    table = _table()
    table.add_column("score")
    table.add_column("value", justify="right")
    for key, value in scores.headline().items():
        table.add_row(key, _number(value, "{:,.1f}" if key == "rank_distance" else "{:.4f}"))
    return table


def matrix_table(scores: Scores) -> Table:
    """mAP of every query language (row) on every passage language (column), then of the pool."""
    table = _table()
    table.add_column("")
    for lang in (*scores.langs, "pool"):
        table.add_column(lang, justify="right")
    for row, lang in enumerate(scores.langs):
        cells = [_cell(value) for value in scores.map_matrix[row]]
        cells[row] = f"[bold]{cells[row]}[/bold]"
        table.add_row(lang, *cells, _cell(float(scores.multi_map[row])))
    return table


def print_scores(scores: Scores, console: Console | None = None) -> None:
    """Print `score_table` to `console`, or to the terminal."""
    (console or Console()).print(score_table(scores))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=0)


def _number(value: float, form: str) -> str:
    return "-" if np.isnan(value) else form.format(value)


def _cell(value: float) -> str:
    """Four characters at most: .123, or 1.00."""
    text = _number(value, "{:.3f}")
    return text[1:] if text.startswith("0") else text[:4]
