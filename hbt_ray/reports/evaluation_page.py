"""Evaluations as one HTML page that needs nothing but a browser."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.evaluate import Comparison, Evaluation
from hbt_ray.kit.matrix import Scale, page_matrix, scale_of
from hbt_ray.kit.page import render
from hbt_ray.kit.prose import decimals
from hbt_ray.languages import code_and_name, lang_name
from hbt_ray.reports.evaluation_summary import RULES, conclusion, summary, verdict
from hbt_ray.reports.language_bars import distance_bars, score_bars, share_bars
from hbt_ray.retrieval.scoring.bias import extreme_pairs, worst_lang, worst_pair
from hbt_ray.retrieval.scoring.distinct import (
    is_one_language,
    left_out,
    metric_names,
    num_passage_langs,
    num_query_langs,
    num_questions,
)
from hbt_ray.retrieval.scoring.rank_metrics import CUTOFFS
from hbt_ray.retrieval.scoring.score import POOL_CUTOFF, Scores

MAX_BARS, NUM_SHOWN = 40, 9
"""Languages up to which all bars are shown at once; of more, so many at either end, and all on request."""
NUM_PAIRS = 10
"""Pairs that are listed as the best and as the worst."""


def render_report(evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison] = ()) -> str:
    """The page, as UTF-8 text: summary, headline numbers, comparisons, then each evaluation in detail.

    Evaluations of one set share a table and the scale of colours. The page asks for nothing from elsewhere;
    its script sorts tables and names cells under the pointer, and nothing is lost without it.

    Raises:
        EvaluationError: there is no evaluation, or there are two of one model on one set.
    """
    if not evaluations:
        raise EvaluationError("a report was asked for without an evaluation; score a model first.")
    by_set: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        group = by_set.setdefault(evaluation.scores.name, [])
        if any(other.model == evaluation.model for other in group):
            twice = f"{evaluation.model!r} on {evaluation.scores.name!r}"
            raise EvaluationError(f"a report has {twice} twice; give each model and each set a name of its own.")
        group.append(evaluation)
    facts = _facts(evaluations)
    scales = {name: scale_of([evaluation.scores.map_matrix for evaluation in group]) for name, group in by_set.items()}
    return render(
        "hbt_ray.reports",
        "evaluation.html.j2",
        title=" · ".join(dict.fromkeys(evaluation.model for evaluation in evaluations)),
        shared_facts={name: values[0] for name, values in facts.items() if len(set(values)) == 1},
        other_facts={name: values for name, values in facts.items() if len(set(values)) > 1},
        by_set=by_set,
        metrics={name: metric_names(group[0].scores) for name, group in by_set.items()},
        left_out={name: left_out(group[0].scores) for name, group in by_set.items()},
        ceilings={name: group[0].scores.recall_ceiling(POOL_CUTOFF) for name, group in by_set.items()},
        extreme=_extreme,
        comparisons=[(comparison, conclusion(comparison)) for comparison in comparisons],
        one_language=all(is_one_language(evaluation.scores) for evaluation in evaluations),
        details=[_details(evaluation, scales[evaluation.scores.name]) for evaluation in evaluations],
        max_bars=MAX_BARS,
        num_shown=NUM_SHOWN,
        rules=RULES,
    )


def _facts(evaluations: Sequence[Evaluation]) -> dict[str, list[str]]:
    """Name -> the value of each evaluation as text: the model, the set, and how it was encoded and searched."""
    every = [evaluation.scores for evaluation in evaluations]
    facts = {
        "model": [evaluation.model for evaluation in evaluations],
        "set": [scores.name for scores in every],
        "languages": [_languages(scores) for scores in every],
        "queries": [f"{scores.num_queries.sum():,}" for scores in every],
        "different questions": [f"{num_questions(scores):,}" for scores in every],
        "passages in the pool": [f"{scores.num_passages.sum():,}" for scores in every],
    }
    for name in dict.fromkeys(name for evaluation in evaluations for name in evaluation.settings):
        facts[name.replace("_", " ")] = [_setting(evaluation.settings.get(name)) for evaluation in evaluations]
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


def _details(evaluation: Evaluation, scale: Scale) -> dict[str, Any]:
    """What the page shows of one evaluation beyond the tables that models share."""
    scores = evaluation.scores
    asking, holding = np.flatnonzero(scores.num_queries), np.flatnonzero(scores.num_passages)
    query_langs, passage_langs = ([scores.langs[lang] for lang in side] for side in (asking, holding))
    values = scores.map_matrix[np.ix_(asking, holding)]

    def title(row: int, column: int) -> str:
        names = f"{lang_name(query_langs[row])} → {lang_name(passage_langs[column])}"
        return f"{names}: {decimals(values[row, column])}"

    one_language = is_one_language(scores)
    standard, means = scores.standard.by_lang(), scores.standard.means()
    if one_language:  # those of the pool are the same
        standard = {name: column for name, column in standard.items() if name.startswith("mono_")}
    best, worst = extreme_pairs(scores.langs, scores.map_matrix, NUM_PAIRS)
    return {
        "evaluation": evaluation,
        "verdict": verdict(evaluation),
        "summary": summary(evaluation),
        "one_language": one_language,
        "query_langs": query_langs,
        "passage_langs": passage_langs,
        "matrix": page_matrix(query_langs, passage_langs, values, scale, _cell_text, title),
        "best_pairs": best,
        "worst_pairs": worst,
        "score_bars": score_bars(scores),
        "share_bars": share_bars(scores) if scores.share is not None and len(holding) > 1 else [],
        "distance_bars": distance_bars(scores),
        "standard": standard,
        "standard_means": [means[name] for name in standard],
        "has_peer": not np.isnan(scores.peer).all(),
        "cutoffs": CUTOFFS,
        "recall_ceiling": scores.recall_ceiling(CUTOFFS["recall"]),
    }


def _cell_text(value: float) -> str:
    return decimals(value).replace("0.", ".")


def _extreme(metric: str, scores: Scores) -> str:
    """The language or pair that `worst_lang_map` or `worst_pair_map` is about; empty for the means."""
    lang, pair = worst_lang(scores.pool_map), worst_pair(scores.map_matrix)
    if metric == "worst_lang_map" and lang is not None:
        return code_and_name(scores.langs[lang])
    if metric == "worst_pair_map" and pair is not None:
        return " → ".join(scores.langs[side] for side in pair)
    return ""
