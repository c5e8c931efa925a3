"""B against A in one number: the difference, its interval, p value and verdict; and the tests behind it.

The p values of comparisons that are looked at together are corrected by Holm (1979), which keeps the chance of a single
false finding among them below the level. In a permutation test the models are exchanged on whole questions: if they
were alike, that would change nothing, so the difference is held against those after random exchanges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit  # type: ignore[import-untyped]

from hbt_ray.arrays import FloatArray
from hbt_ray.config.headline import LOWER_IS_BETTER
from hbt_ray.stats.resample import Cells, blocks, reduce_cells

CONFIDENCE = 0.95
LEVEL = 1 - CONFIDENCE
NUM_FLIPS = 10_000
"""Random exchanges of a test by language: with Holm's correction over 200 languages, p can still fall below 0.05."""
FEW = 10
"""Draws beyond zero that are too few to count."""

Verdict = Literal["better", "worse", "not significant", "unknown"]
K = TypeVar("K")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """B against A in one number."""

    metric: str
    a: float
    b: float
    difference: float
    """b minus a."""
    low: float
    high: float
    """Interval of the difference; NaN where it is unknown."""
    p_value: float
    """Two-sided: how often chance alone gives a difference as large as this one; NaN where that is unknown."""
    p_adjusted: float
    """`p_value` after Holm's correction for the comparisons that are looked at together."""
    verdict: Verdict
    """Whether b is significantly better than a, or worse, by the direction of the metric."""

    @classmethod
    def of(cls, metric: str, a: float, b: float, interval: tuple[float, float], p_value: float) -> Difference:
        """A comparison on its own, before `correct`."""
        difference, (low, high) = float(b - a), interval
        return cls(
            metric=metric,
            a=float(a),
            b=float(b),
            difference=difference,
            low=low,
            high=high,
            p_value=float(p_value),
            p_adjusted=float(p_value),
            verdict=verdict_of(metric, difference, p_value),
        )

    @property
    def better(self) -> bool:
        """Whether b is significantly better."""
        return self.verdict == "better"

    @property
    def worse(self) -> bool:
        """Whether b is significantly worse."""
        return self.verdict == "worse"

    @property
    def significant(self) -> bool:
        """Whether b is either."""
        return self.better or self.worse


def correct(rows: Mapping[K, Difference], level: float = LEVEL) -> dict[K, Difference]:
    """The rows with p values corrected for all of them, and verdicts at `level`."""
    adjusted = holm(np.array([row.p_value for row in rows.values()]))
    return {
        key: replace(row, p_adjusted=float(p), verdict=verdict_of(row.metric, row.difference, p, level))
        for (key, row), p in zip(rows.items(), adjusted, strict=True)
    }


def verdict_of(metric: str, difference: float, p_value: float, level: float = LEVEL) -> Verdict:
    """Significant where chance alone would give such a difference less often than `level`; of rank distance, less is
    better.
    """
    if np.isnan(p_value):
        return "unknown"
    if p_value >= level:
        return "not significant"
    return "better" if (difference > 0) != (metric in LOWER_IS_BETTER) else "worse"


def holm(p_values: FloatArray) -> FloatArray:
    """Holm's step-down adjusted p values [M]: the i-th smallest of m times m - i + 1, never falling; NaN stays."""
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: int((~np.isnan(p_values)).sum())]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def percentiles(values: FloatArray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval that leaves out the same share of `values` [R] at either end; NaN are left out."""
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def two_sided(values: FloatArray, df: int = 0) -> float:
    """p value of drawn differences [R]: twice the smaller share at or beyond zero, below 0.05 where the interval
    leaves out zero.

    With `FEW` draws there or fewer, that share says no more than how many were drawn, and a correction for hundreds of
    comparisons would hide every difference; so the tail is that of Student's t with the draws' median and quartiles and
    the `df` of the spread between seeds (0: of the normal distribution).
    """
    below, above = int((values <= 0).sum()) + 1, int((values >= 0).sum()) + 1
    counted = float(min(1.0, 2 * min(below, above) / (len(values) + 1)))
    if min(below, above) > FEW:
        return counted
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    if low == high:
        return counted
    width = (high - low) / (2 * (stdtrit(df, 0.75) if df else ndtri(0.75)))
    beyond = -abs(middle) / width
    return min(counted, 2 * float(stdtr(df, beyond) if df else ndtr(beyond)))


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


def flipped_sums(parts: FloatArray, rng: np.random.Generator, num_flips: int = NUM_FLIPS) -> FloatArray:
    """Sums [num_flips, M] of `parts` [K, M] under random signs of their K rows."""
    sums = [signs @ parts for signs in _random_signs(len(parts), num_flips, rng)]
    return np.concatenate(sums)


def _is_exact(num_rows: int, num_resamples: int) -> bool:
    return num_rows < 63 and 2**num_rows <= num_resamples


def _signs(num_rows: int, num_resamples: int, seed: int, exact: bool) -> Iterator[FloatArray]:
    if exact:
        bits = np.arange(2**num_rows)[:, None] >> np.arange(num_rows) & 1
        yield (1 - 2 * bits).astype(np.float64)
        return
    # not the questions that the bootstrap draws
    yield from _random_signs(num_rows, num_resamples, np.random.default_rng((seed, 1)))


def _random_signs(num_rows: int, num_resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    for size in blocks(num_resamples, num_rows):
        yield (1 - 2 * rng.integers(0, 2, (size, num_rows), dtype=np.int8)).astype(np.float64)
