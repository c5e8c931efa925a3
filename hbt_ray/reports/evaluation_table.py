"""Scores and comparisons as tables for the terminal; at any number of languages they fit one of 80 columns."""

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hbt_ray.arrays import FloatArray
from hbt_ray.evaluation.evaluate import Comparison
from hbt_ray.kit.prose import number, p_text, signed
from hbt_ray.languages import lang_name
from hbt_ray.reports.evaluation_summary import conclusion
from hbt_ray.retrieval.scoring.bias import extreme_pairs
from hbt_ray.retrieval.scoring.distinct import counted, distinct_numbers, left_out, num_passage_langs, num_query_langs
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.retrieval.scoring.significance import Interval
from hbt_ray.stats.compare import Verdict

MAX_MATRIX_LANGS = 14
"""A wider matrix does not fit a terminal of 80 columns."""
NUM_EXTREMES = 10
"""Pairs, and languages, that are listed as best and as worst where the matrix does not fit."""
NAME_CHARS = 24


def score_table(scores: Scores, intervals: Sequence[Interval] = (), notes: Sequence[str] = ()) -> RenderableType:
    """Headline, then the matrix (up to 14 languages) or the best and worst pairs, languages, and notes of the set.

    Of what a set has one of, such as the matrix of a single language, the headline says all.
    """
    num_langs = num_query_langs(scores)
    parts: list[RenderableType] = [Text(f"{scores.name}: {counted(scores)}"), headline_table(scores, intervals)]
    if left := left_out(scores):
        parts.append(Text(f"{left}\n", style="dim"))
    if num_passage_langs(scores) > MAX_MATRIX_LANGS:
        parts += [Text(f"The {NUM_EXTREMES} worst and best pairs of two languages by mAP"), pair_table(scores)]
    elif max(num_langs, num_passage_langs(scores)) > 1:
        parts += [Text("mAP: query language (row) on passage language (column), and on the pool"), matrix_table(scores)]
    if num_langs > 1:
        between = num_langs - 2 * NUM_EXTREMES
        of = f" ({NUM_EXTREMES} lowest and {NUM_EXTREMES} highest, {between} more between)" if between > 0 else ""
        parts += [Text(f"Languages by mAP in the pool, lowest first{of}"), lang_table(scores)]
    if notes:
        parts += [Text("Notes on the set:"), *(Padding(Text(f"- {note}"), (0, 0, 0, 1)) for note in notes)]
    return Group(*parts)


def headline_table(scores: Scores, intervals: Sequence[Interval] = ()) -> Table:
    """The headline numbers of a set, each once, with the intervals given; rank distance in places, others 0 to 1."""
    table = _table()
    table.add_column("score")
    table.add_column("value", justify="right")
    ends = {interval.metric: interval for interval in intervals}
    if ends:
        table.add_column("95% interval", justify="right", style="dim")
    for key, value in distinct_numbers(scores).items():
        interval = ends.get(key)
        between = f"{number(key, interval.low)} to {number(key, interval.high)}" if interval else ""
        table.add_row(key, number(key, value), *([between] if ends else []))
    return table


def matrix_table(scores: Scores) -> Table:
    """mAP of every query language (row) on every passage language (column), then of the pool."""
    table = _table()
    table.add_column("")
    columns = np.flatnonzero(scores.num_passages)
    for lang in (*(scores.langs[column] for column in columns), "pool"):
        table.add_column(lang, justify="right")
    for row in np.flatnonzero(scores.num_queries):
        values = {column: _cell(scores.map_matrix[row, column]) for column in columns}
        cells = [f"[bold]{value}[/bold]" if column == row else value for column, value in values.items()]
        table.add_row(scores.langs[row], *cells, _cell(float(scores.pool_map[row])))
    return table


def pair_table(scores: Scores) -> Table:
    """The worst and, beside them, the best ordered pairs of two languages, query language first."""
    table = _table()
    for heading in ("worst", "best"):
        table.add_column(heading)
        table.add_column("mAP", justify="right")
    best, worst = extreme_pairs(scores.langs, scores.map_matrix, NUM_EXTREMES)
    for low, high in zip(worst, best, strict=True):
        table.add_row(
            f"{low.query} → {low.passage}", f"{low.value:.4f}", f"{high.query} → {high.passage}", f"{high.value:.4f}"
        )
    return table


def lang_table(scores: Scores) -> Table:
    """mAP inside and in the pool, rank distance, place of the last parallel answer, PEER, and share of the top k beyond
    what is due, a language a row.

    Columns without any value are left out, and languages that neither ask nor answer; of more than 20 languages the
    lowest and the highest 10 are listed.
    """
    columns: dict[str, tuple[FloatArray, str]] = {
        "mono": (np.diagonal(scores.map_matrix), "{:.3f}"),
        "pool": (scores.pool_map, "{:.3f}"),
        "distance": (scores.rank_distance, "{:,.0f}"),
        "last": (scores.worst_rank, "{:,.0f}"),
        "PEER": (scores.peer, "{:.3f}"),
    }
    shared = scores.share is not None and num_passage_langs(scores) > 1
    if shared:
        due, share = scores.mean_shares()
        columns[f"top {scores.top_k}"] = (100 * (share - due), "{:+.2f}")
    columns = {name: column for name, column in columns.items() if not np.isnan(column[0]).all()}
    table = _table()
    table.add_column("")
    table.add_column("language", max_width=NAME_CHARS, no_wrap=True, overflow="ellipsis")
    for name in columns:
        table.add_column(name, justify="right")
    there = scores.num_queries + scores.num_passages > 0
    order = [row for row in np.argsort(scores.pool_map, kind="stable") if there[row]]
    if len(order) > 2 * NUM_EXTREMES:
        order = [*order[:NUM_EXTREMES], None, *order[-NUM_EXTREMES:]]
    for row in order:
        if row is None:
            table.add_section()
            continue
        lang = scores.langs[row]
        cells = ["-" if np.isnan(values[row]) else form.format(values[row]) for values, form in columns.values()]
        table.add_row(lang, _name(lang), *cells)
    if shared:
        table.caption = f"top {scores.top_k}: percentage points of the pool's first {scores.top_k} beyond what is due"
        table.caption_justify = "left"
    return table


def comparison_table(comparison: Comparison) -> Table:
    """Model b against model a, a headline number a row; green where b is significantly better, red where a is."""
    table = _table()
    title = f"{comparison.b} (b) against {comparison.a} (a) on {comparison.set_name}"
    table.title, table.title_justify = Text(title), "left"  # names are data, not markup
    table.add_column("score")
    for heading in ("a", "b", "b - a", "95% interval", "p (Holm)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("better")
    for row in comparison.differences:
        table.add_row(
            row.metric,
            number(row.metric, row.a),
            number(row.metric, row.b),
            signed(row.metric, row.difference),
            f"{number(row.metric, row.low)} to {number(row.metric, row.high)}",
            p_text(row.p_adjusted),
            _verdict(row.verdict),
        )
    return table


def print_scores(
    scores: Scores,
    console: Console | None = None,
    intervals: Sequence[Interval] = (),
    notes: Sequence[str] = (),
) -> None:
    """Print `score_table` to `console`, or to the terminal."""
    (console or Console()).print(score_table(scores, intervals, notes))


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print `comparison_table`, and below it the conclusion in plain words."""
    console = console or Console()
    console.print(comparison_table(comparison))
    console.print(Text(conclusion(comparison)))


def _verdict(verdict: Verdict) -> Text:
    if verdict == "better":
        return Text("b", style="green")
    return Text("a", style="red") if verdict == "worse" else Text("neither", style="dim")


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=0)


def _name(lang: str) -> str:
    name = lang_name(lang)
    return "" if name == lang else name


def _cell(value: float) -> str:
    """Four characters at most: .123, or 1.00."""
    text = "-" if np.isnan(value) else f"{value:.3f}"
    return text[1:] if text.startswith("0") else text[:4]
