"""How sure the headline numbers are, and which differences of two models on one set are more than chance.

The unit is the question: the parallel queries of one question are drawn, or exchanged between the models,
together, because they succeed and fail together. Questions are drawn within strata, so that no language is left
without any (`stats.resample`); of a pair of languages with few questions a draw may have none, and the mean over
pairs is then over the others. Everything is a function of the scores and the seed.

The worst language and the worst pair are extremes: resampling makes the lowest of several cells lower still, so a
percentile interval lies low, and may leave out the number itself. They have none; their differences are tested.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.cells import cells_by_lang, headline_cells
from hbt_ray.retrieval.scoring.distinct import distinct_numbers
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.stats.compare import CONFIDENCE, Difference, correct, exchange_test, percentiles, sign_flip_test
from hbt_ray.stats.resample import Cells, question_weights, strata, weighted_number

NUM_RESAMPLES = 2000
NUM_LANG_RESAMPLES = 1000
"""For the bars of a report, a language each."""


class Interval(NamedTuple):
    """A headline number with its percentile bootstrap interval."""

    metric: str
    value: float
    low: float
    high: float


def intervals(scores: Scores, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> list[Interval]:
    """Every macro mean of the headline that is a number of its own, with its bootstrap interval over questions.

    Raises EvaluationError for fewer than two questions, and for `num_resamples` below 1.
    """
    _check(scores, num_resamples)
    headline, cells = distinct_numbers(scores), headline_cells(scores)
    stratum = strata(cells_by_lang(cells))
    cells = {name: cells[name] for name in headline if not cells[name].worst}
    drawn = _bootstrap([cells], stratum, num_resamples, seed)[0]
    return [Interval(name, headline[name], *percentiles(drawn[name])) for name in cells]


def lang_intervals(scores: Scores, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper ends [L] of the percentile interval of each query language's mean of `values` [Nq].

    As in `intervals`, questions are drawn within strata. NaN for a language with fewer than two questions that
    count.
    """
    per, num_langs = scores.per_query, len(scores.langs)
    keys, key = np.unique(per.keys, return_inverse=True)
    kept = ~np.isnan(values)
    place, size = key[kept] * num_langs + per.langs[kept], len(keys) * num_langs
    sums = np.bincount(place, values[kept], minlength=size).reshape(len(keys), num_langs)
    counts = np.bincount(place, minlength=size).reshape(len(keys), num_langs).astype(np.float64)
    drawn = []
    for weights in question_weights(strata(counts > 0), NUM_LANG_RESAMPLES, np.random.default_rng(0)):
        total = weights @ counts
        drawn.append(np.where(total > 0, weights @ sums / np.maximum(total, 1), np.nan))
    means = np.concatenate(drawn)
    low, high = np.full((2, num_langs), np.nan)
    known = (counts > 0).sum(axis=0) > 1
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    if known.any():
        low[known], high[known] = np.quantile(means[:, known], ends, axis=0)
    return low, high


def compare(a: Scores, b: Scores, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> list[Difference]:
    """Every number of the headline of two models on ONE set: difference, interval, p value, verdict.

    Numbers that the set does not define are left out, and so are those that are another one on this set
    (`distinct.repeated`): each is tested, and counted in the correction, once.

    The p value is of a paired permutation test: if the models were alike, exchanging their scores on any
    question would change nothing, so the difference is held against those after random exchanges (all 2^K
    where `num_resamples` allows, else `num_resamples` of them, counting the observed one). Holm's correction
    (1979) keeps the chance of a single false finding among all the rows below 1 - `CONFIDENCE`.

    Raises EvaluationError where the two are not of one set, and as `intervals` does.
    """
    _check(a, num_resamples)
    check_same_set(a, b)
    before, after = distinct_numbers(a), b.headline()
    all_a, all_b = headline_cells(a), headline_cells(b)
    stratum = strata(cells_by_lang(all_a))
    cells_a, cells_b = ({name: cells[name] for name in before} for cells in (all_a, all_b))
    drawn_a, drawn_b = _bootstrap([cells_a, cells_b], stratum, num_resamples, seed)
    means = [name for name, cells in cells_a.items() if not cells.worst]
    parts = np.stack([_parts(cells_a[name], cells_b[name]) for name in means], axis=1)
    p_values = dict(zip(means, sign_flip_test(parts, num_resamples=num_resamples, seed=seed), strict=True))
    for name in cells_a.keys() - p_values.keys():
        p_values[name] = exchange_test(cells_a[name], cells_b[name], num_resamples=num_resamples, seed=seed)
    rows = {}
    for name in cells_a:
        interval = percentiles(drawn_b[name] - drawn_a[name])
        rows[name] = Difference.of(name, before[name], after[name], interval, p_values[name])
    return list(correct(rows).values())


def _bootstrap(
    models: Sequence[dict[str, Cells]], stratum: IntArray, num_resamples: int, seed: int
) -> list[dict[str, FloatArray]]:
    """Resampled headline numbers [num_resamples] of each model, the same questions drawn for all of them."""
    parts: list[dict[str, list[FloatArray]]] = [{name: [] for name in cells} for cells in models]
    for weights in question_weights(stratum, num_resamples, np.random.default_rng(seed)):
        for cells, out in zip(models, parts, strict=True):
            for name, cell in cells.items():
                out[name].append(weighted_number(weights, cell))
    return [{name: np.concatenate(values) for name, values in out.items()} for out in parts]


def _parts(a: Cells, b: Cells) -> FloatArray:
    """What each question adds to the difference of b and a, [K]."""
    parts: FloatArray = ((b.sums - a.sums) / a.counts.sum(axis=0)).mean(axis=1)
    return parts


def _check(scores: Scores, num_resamples: int) -> None:
    if num_resamples < 1:
        raise EvaluationError(f"num_resamples is {num_resamples}; give 1 or more ({NUM_RESAMPLES}, for instance).")
    if len(np.unique(scores.per_query.keys)) < 2:
        raise EvaluationError(
            f"set {scores.name!r} has a single question, from which no spread can be told; take a larger set."
        )


def same_set(a: Scores, b: Scores) -> bool:
    """Whether both are scores of the same questions with the same answers."""
    return (
        a.langs == b.langs
        and np.array_equal(a.per_query.keys, b.per_query.keys)
        and np.array_equal(a.per_query.langs, b.per_query.langs)
        and np.array_equal(a.num_passages, b.num_passages)
        # Two sets of the same queries can still differ in which of them are answered in a language.
        and np.array_equal(np.isnan(a.per_query.pair_ap), np.isnan(b.per_query.pair_ap))
    )


def check_same_set(a: Scores, b: Scores) -> None:
    """EvaluationError unless `same_set`."""
    if not same_set(a, b):
        raise EvaluationError(
            f"the scores are of different sets ({a.name!r} with {len(a.per_query.keys)} queries in {len(a.langs)} "
            f"languages, {b.name!r} with {len(b.per_query.keys)} in {len(b.langs)}); "
            "score both models on the same set in the same languages."
        )
