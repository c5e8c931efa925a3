"""Evaluations as one HTML page that needs nothing but a browser."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from hbt_ray.arrays import FloatArray
from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.record import Comparison, Evaluation
from hbt_ray.languages import code_and_name, lang_name
from hbt_ray.reports.evaluation_summary import RULES, Statement, conclusion, summary, verdict
from hbt_ray.reports.language_plots import (
    MAX_CELL_LANGS,
    Cell,
    LangBars,
    MatrixImage,
    distance_bars,
    gradient,
    limits,
    matrix_cells,
    matrix_image,
    score_bars,
    share_bars,
)
from hbt_ray.retrieval.scoring.bias import worst_lang, worst_pair
from hbt_ray.retrieval.scoring.distinct import num_passage_langs, num_query_langs, num_questions
from hbt_ray.retrieval.scoring.extremes import Pair, extreme_pairs
from hbt_ray.retrieval.scoring.pool_shares import ceiling
from hbt_ray.retrieval.scoring.score import POOL_CUTOFF, Scores
from hbt_ray.retrieval.scoring.wording import is_one_language, left_out, metric_names, number, p_text

TEMPLATE = "report.html.j2"
MAX_BARS, NUM_SHOWN = 40, 9
"""Languages up to which all bars are shown at once; of more, so many at either end, and all on request."""
NUM_PAIRS = 10
"""Pairs that are listed as the best and as the worst."""


@dataclass(frozen=True, kw_only=True)
class Details:
    """All that the page shows of one evaluation beyond the tables that models share."""

    evaluation: Evaluation
    verdict: str
    summary: list[Statement]
    one_language: bool
    """Whether all queries and passages are in one language, so that there is nothing to hold apart."""
    query_langs: list[str]
    """Languages in which something is asked."""
    passage_langs: list[str]
    """Languages that have passages."""
    cells: list[list[Cell]] | None
    """The matrix, `query_langs` x `passage_langs`, as a table; None where it has too many languages."""
    image: MatrixImage | None
    """The matrix as an image otherwise."""
    scale: tuple[float, float]
    best_pairs: list[Pair]
    worst_pairs: list[Pair]
    score_bars: list[LangBars]
    share_bars: list[LangBars]
    distance_bars: list[LangBars]
    standard: dict[str, FloatArray]
    """Column -> values by language; of one language those of the pool are left out, as they are the same."""
    standard_means: dict[str, float]
    has_peer: bool
    recall_ceiling: float
    """The most that the pooled recall of the standard metrics can be."""


def render_report(evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison] = ()) -> str:
    """The page, as UTF-8 text: summary, headline numbers, comparisons, then each evaluation in detail.

    Evaluations of one set share a table and the scale of colours. The page asks for nothing from elsewhere;
    its script sorts tables and names cells under the pointer, and nothing is lost without it.
    Raises EvaluationError where there is no evaluation, or two of one model on one set.
    """
    if not evaluations:
        raise EvaluationError("a report was asked for without an evaluation; score a model first.")
    named = [(evaluation.model, evaluation.scores.name) for evaluation in evaluations]
    if len(set(named)) < len(named):
        raise EvaluationError(f"a report has {_twice(named)} twice; give each model and each set a name of its own.")
    environment = Environment(
        loader=PackageLoader("hbt_ray.reports", "templates"),
        autoescape=True,  # questions and passages are data
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, p_text=p_text, lang_name=lang_name, lang=code_and_name, decimals=_decimals, extreme=_extreme
    )
    by_set: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        by_set.setdefault(evaluation.scores.name, []).append(evaluation)
    scales = {name: limits([found.scores.map_matrix for found in group]) for name, group in by_set.items()}
    return environment.get_template(TEMPLATE).render(
        title=" · ".join(dict.fromkeys(evaluation.model for evaluation in evaluations)),
        evaluations=evaluations,
        facts=_facts(evaluations),
        by_set=by_set,
        metrics={name: metric_names(group[0].scores) for name, group in by_set.items()},
        left_out={name: left_out(group[0].scores) for name, group in by_set.items()},
        ceilings={name: ceiling(group[0].scores, POOL_CUTOFF) for name, group in by_set.items()},
        comparisons=[(comparison, conclusion(comparison)) for comparison in comparisons],
        details=[_details(evaluation, scales[evaluation.scores.name]) for evaluation in evaluations],
        gradient=gradient(),
        max_bars=MAX_BARS,
        num_shown=NUM_SHOWN,
        max_cell_langs=MAX_CELL_LANGS,
        rules=RULES,
    )


def _facts(evaluations: Sequence[Evaluation]) -> dict[str, list[str]]:
    """What was evaluated and how: name -> the value of each evaluation as text."""
    facts = {
        "model": [found.model for found in evaluations],
        "set": [found.scores.name for found in evaluations],
        "languages": [_languages(found.scores) for found in evaluations],
        "queries": [f"{found.scores.num_queries.sum():,}" for found in evaluations],
        "different questions": [f"{num_questions(found.scores):,}" for found in evaluations],
        "passages in the pool": [f"{found.scores.num_passages.sum():,}" for found in evaluations],
    }
    for name in dict.fromkeys(name for found in evaluations for name in found.settings):
        facts[name.replace("_", " ")] = [_setting(found.settings.get(name)) for found in evaluations]
    return facts


def _languages(scores: Scores) -> str:
    asked, held = num_query_langs(scores), num_passage_langs(scores)
    return f"{asked}" if asked == held else f"{asked} of queries, {held} of passages"


def _setting(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _details(evaluation: Evaluation, scale: tuple[float, float]) -> Details:
    scores = evaluation.scores
    asking, holding = np.flatnonzero(scores.num_queries), np.flatnonzero(scores.num_passages)
    query_langs, passage_langs = ([scores.langs[at] for at in side] for side in (asking, holding))
    small = max(len(asking), len(holding)) <= MAX_CELL_LANGS
    standard, means = scores.standard.by_lang(), scores.standard.means()
    matrix = scores.map_matrix[np.ix_(asking, holding)]
    alone = is_one_language(scores)
    if alone:
        standard = {name: values for name, values in standard.items() if name.startswith("mono_")}
    best, worst = extreme_pairs(scores.langs, scores.map_matrix, NUM_PAIRS)
    return Details(
        evaluation=evaluation,
        verdict=verdict(evaluation),
        summary=summary(evaluation),
        one_language=alone,
        query_langs=query_langs,
        passage_langs=passage_langs,
        cells=matrix_cells(query_langs, passage_langs, matrix, scale) if small else None,
        image=None if small else matrix_image(scores.langs, scores.map_matrix, scale),
        scale=scale,
        best_pairs=best,
        worst_pairs=worst,
        score_bars=score_bars(scores),
        share_bars=share_bars(scores) if scores.share is not None and len(holding) > 1 else [],
        distance_bars=distance_bars(scores) if not np.isnan(scores.rank_distance).all() else [],
        standard=standard,
        standard_means={name: means[name] for name in standard},
        has_peer=bool((~np.isnan(scores.peer)).any()),
        recall_ceiling=ceiling(scores, scores.standard.cutoffs["recall"]),
    )


def _extreme(metric: str, scores: Scores) -> str:
    """The language or pair that `worst_lang_map` or `worst_pair_map` is about; empty for the means."""
    lang, pair = worst_lang(scores.pool_map), worst_pair(scores.map_matrix)
    if metric == "worst_lang_map" and lang is not None:
        return code_and_name(scores.langs[lang])
    if metric == "worst_pair_map" and pair is not None:
        return " → ".join(scores.langs[side] for side in pair)
    return ""


def _decimals(value: float, places: int = 3) -> str:
    return "–" if np.isnan(value) else f"{value:.{places}f}"


def _twice(named: list[tuple[str, str]]) -> str:
    model, name = next(pair for at, pair in enumerate(named) if pair in named[:at])
    return f"{model!r} on {name!r}"
