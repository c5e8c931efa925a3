"""How sure the headline numbers are, and which differences of two models on one set are more than chance.

The unit is the question: the parallel queries of one question are drawn, or exchanged between the models,
together, because they succeed and fail together. Questions are drawn within strata, so that no language is left
without any (`resample`); of a pair of languages with few questions a draw may have none, and the mean over pairs is
then over the others. Everything is a function of the scores and the seed.

The worst language and the worst pair are extremes: resampling makes the lowest of several cells lower still, so a
percentile interval lies low, and may leave out the number itself. They have none; their differences are tested.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.cells import Cells, cells_by_lang, headline_cells, headline_number, reduce_cells
from hbt_ray.retrieval.scoring.distinct import distinct_numbers
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.stats.resample import blocks, question_weights, strata

NUM_RESAMPLES = 2000
LOWER_IS_BETTER = frozenset({"rank_distance"})


class Interval(NamedTuple):
    """A headline number with its percentile bootstrap interval."""

    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Model b against model a in one headline number."""

    metric: str
    a: float
    b: float
    difference: float
    """b minus a."""
    low: float
    high: float
    """Percentile bootstrap interval of the difference, questions resampled alike for both models."""
    p_value: float
    """Two-sided permutation test: how often chance alone gives a difference as large as this one."""
    p_holm: float
    """`p_value` after Holm's correction for the headline numbers that are tested together."""
    verdict: Literal["real", "noise"]
    """"real" where `p_holm` is below the level of the test."""

    @property
    def better(self) -> Literal["a", "b", "neither"]:
        """The model that the number favours; "neither" unless the difference is real."""
        if self.verdict != "real":
            return "neither"
        return "b" if (self.difference > 0) != (self.metric in LOWER_IS_BETTER) else "a"


def intervals(
    scores: Scores, *, num_resamples: int = NUM_RESAMPLES, confidence: float = 0.95, seed: int = 0
) -> list[Interval]:
    """Every macro mean of the headline that is a number of its own, with its bootstrap interval over questions.

    Raises EvaluationError for fewer than two questions, and for `num_resamples` or `confidence` out of range.
    """
    _check(scores, num_resamples, confidence)
    headline, (_, cells) = distinct_numbers(scores), headline_cells(scores)
    stratum = strata(cells_by_lang(cells))
    cells = {name: cells[name] for name in headline if not cells[name].worst}
    drawn = _bootstrap([cells], stratum, num_resamples, seed)[0]
    return [Interval(name, headline[name], *_percentiles(drawn[name], confidence)) for name in cells]


def compare(
    a: Scores, b: Scores, *, num_resamples: int = NUM_RESAMPLES, confidence: float = 0.95, seed: int = 0
) -> list[Difference]:
    """Every number of the headline of two models on ONE set: difference, interval, p value, verdict.

    Numbers that the set does not define are left out, and so are those that are another one on this set
    (`distinct.repeated`): each is tested, and counted in the correction, once.

    The p value is of a paired permutation test: if the models were alike, exchanging their scores on any
    question would change nothing, so the difference is held against those after random exchanges (all 2^K
    where `num_resamples` allows, else `num_resamples` of them, counting the observed one). Holm's correction
    (1979) keeps the chance of a single false "real" among all the rows below 1 - `confidence`.

    Raises EvaluationError where the two are not of one set, and as `intervals` does.
    """
    _check(a, num_resamples, confidence)
    check_same_set(a, b)
    before, after = distinct_numbers(a), b.headline()
    (_, all_a), (_, all_b) = headline_cells(a), headline_cells(b)
    stratum = strata(cells_by_lang(all_a))
    cells_a, cells_b = ({name: cells[name] for name in before} for cells in (all_a, all_b))
    drawn_a, drawn_b = _bootstrap([cells_a, cells_b], stratum, num_resamples, seed)
    means = [name for name, cells in cells_a.items() if not cells.worst]
    parts = np.stack([_parts(cells_a[name], cells_b[name]) for name in means], axis=1)
    found_p = dict(zip(means, sign_flip_test(parts, num_resamples=num_resamples, seed=seed), strict=True))
    for name in cells_a.keys() - found_p.keys():
        found_p[name] = exchange_test(cells_a[name], cells_b[name], num_resamples=num_resamples, seed=seed)
    p_values = np.array([found_p[name] for name in cells_a])
    corrected = holm(p_values)
    rows = []
    for at, name in enumerate(cells_a):
        low, high = _percentiles(drawn_b[name] - drawn_a[name], confidence)
        rows.append(
            Difference(
                metric=name,
                a=before[name],
                b=after[name],
                difference=after[name] - before[name],
                low=low,
                high=high,
                p_value=float(p_values[at]),
                p_holm=float(corrected[at]),
                verdict="real" if corrected[at] < 1 - confidence else "noise",
            )
        )
    return rows


def sign_flip_test(parts: FloatArray, *, num_resamples: int, seed: int) -> FloatArray:
    """Two-sided p values [M] of the sums of `parts` [K, M] under random signs of their K rows.

    Exact over all 2^K signs where that is at most `num_resamples`; else (hits + 1) / (num_resamples + 1). As
    `scipy.stats.permutation_test` with "samples". A column with NaN gives NaN.
    """
    observed = np.abs(parts.sum(axis=0))
    exact = _is_exact(len(parts), num_resamples)
    # Equal in exact arithmetic counts as a hit, though sums in another order differ in the last bits.
    limit = observed - 1e-12 * np.abs(parts).sum(axis=0)
    hits, total = np.zeros(parts.shape[1]), 0
    for signs in _signs(len(parts), num_resamples, seed, exact):
        hits += (np.abs(signs @ parts) >= limit).sum(axis=0)
        total += len(signs)
    p_values = hits / total if exact else (hits + 1) / (total + 1)
    return np.where(np.isnan(observed), np.nan, p_values)


def exchange_test(a: Cells, b: Cells, *, num_resamples: int, seed: int) -> float:
    """`sign_flip_test` of a number that is no sum over questions: it is computed anew after every exchange."""
    counts = a.counts.sum(axis=0)[None]
    if not counts.size:
        return float("nan")
    before, change = a.sums.sum(axis=0), b.sums - a.sums

    def distance(exchanged: FloatArray) -> FloatArray:
        moved = exchanged @ change
        after = reduce_cells(before + change.sum(axis=0) - moved, counts, b.worst)
        return np.abs(after - reduce_cells(before + moved, counts, a.worst))

    limit = distance(np.zeros((1, len(change))))[0] - 1e-12
    exact = _is_exact(len(change), num_resamples)
    drawn = [distance((1 - signs) / 2) >= limit for signs in _signs(len(change), num_resamples, seed, exact)]
    hits = np.concatenate(drawn)
    return float(hits.mean() if exact else (hits.sum() + 1) / (len(hits) + 1))


def holm(p_values: FloatArray) -> FloatArray:
    """Holm's step-down adjusted p values [M]: the i-th smallest of m times m - i + 1, never falling; NaN stays."""
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: int((~np.isnan(p_values)).sum())]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _bootstrap(
    models: Sequence[dict[str, Cells]], stratum: IntArray, num_resamples: int, seed: int
) -> list[dict[str, FloatArray]]:
    """Resampled headline numbers [num_resamples] of each model, the same questions drawn for all of them."""
    parts: list[dict[str, list[FloatArray]]] = [{name: [] for name in cells} for cells in models]
    for weights in question_weights(stratum, num_resamples, np.random.default_rng(seed)):
        for cells, out in zip(models, parts, strict=True):
            for name, cell in cells.items():
                out[name].append(headline_number(weights, cell))
    return [{name: np.concatenate(values) for name, values in out.items()} for out in parts]


def _parts(a: Cells, b: Cells) -> FloatArray:
    """What each question adds to the difference of b and a, [K]."""
    parts: FloatArray = ((b.sums - a.sums) / a.counts.sum(axis=0)).mean(axis=1)
    return parts


def _is_exact(num_keys: int, num_resamples: int) -> bool:
    return num_keys < 63 and 2**num_keys <= num_resamples


def _signs(num_keys: int, num_resamples: int, seed: int, exact: bool) -> Iterator[FloatArray]:
    if exact:
        bits = np.arange(2**num_keys)[:, None] >> np.arange(num_keys) & 1
        yield (1 - 2 * bits).astype(np.float64)
        return
    rng = np.random.default_rng((seed, 1))  # not the questions that the bootstrap draws
    for size in blocks(num_resamples, num_keys):
        yield (1 - 2 * rng.integers(0, 2, (size, num_keys), dtype=np.int8)).astype(np.float64)


def _percentiles(drawn: FloatArray, confidence: float) -> tuple[float, float]:
    kept = drawn[~np.isnan(drawn)]
    if not kept.size:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _check(scores: Scores, num_resamples: int, confidence: float) -> None:
    if num_resamples < 1 or not 0 < confidence < 1:
        raise EvaluationError(
            f"num_resamples is {num_resamples} and confidence {confidence}; "
            "give 1 or more resamples (2000, for instance) and a confidence between 0 and 1."
        )
    if len(np.unique(scores.per_query.keys)) < 2:
        raise EvaluationError(
            f"set {scores.name!r} has a single question, from which no spread can be told; take a larger set."
        )


def check_same_set(a: Scores, b: Scores) -> None:
    """EvaluationError unless both are scores of the same questions with the same answers."""
    same = (
        a.langs == b.langs
        and np.array_equal(a.per_query.keys, b.per_query.keys)
        and np.array_equal(a.per_query.langs, b.per_query.langs)
        and np.array_equal(a.num_passages, b.num_passages)
        # Two sets of the same queries can still differ in which of them are answered in a language.
        and np.array_equal(np.isnan(a.per_query.pair_ap), np.isnan(b.per_query.pair_ap))
    )
    if not same:
        raise EvaluationError(
            f"the scores are of different sets ({a.name!r} with {len(a.per_query.keys)} queries in {len(a.langs)} "
            f"languages, {b.name!r} with {len(b.per_query.keys)} in {len(b.langs)}); "
            "score both models on the same set in the same languages."
        )
