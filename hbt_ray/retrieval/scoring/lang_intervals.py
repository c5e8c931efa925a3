"""Bootstrap intervals of the mean of every language, for the bars of a report."""

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.stats.resample import question_weights, strata

NUM_RESAMPLES = 1000


def lang_intervals(
    scores: Scores, values: FloatArray, *, confidence: float = 0.95, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper ends [L] of the percentile interval of each query language's mean of `values` [Nq].

    As in `stats.intervals`, questions are drawn within strata. NaN for a language with fewer than two questions that
    count.
    """
    per, num_langs = scores.per_query, len(scores.langs)
    keys, key = np.unique(per.keys, return_inverse=True)
    kept = ~np.isnan(values)
    place, size = key[kept] * num_langs + per.langs[kept], len(keys) * num_langs
    sums = np.bincount(place, values[kept], minlength=size).reshape(len(keys), num_langs)
    counts = np.bincount(place, minlength=size).reshape(len(keys), num_langs).astype(np.float64)
    drawn = []
    for weights in question_weights(strata(counts > 0), NUM_RESAMPLES, np.random.default_rng(seed)):
        total = weights @ counts
        drawn.append(np.where(total > 0, weights @ sums / np.maximum(total, 1), np.nan))
    means = np.concatenate(drawn)
    low, high = np.full((2, num_langs), np.nan)
    told = (counts > 0).sum(axis=0) > 1
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    if told.any():
        low[told], high[told] = np.quantile(means[:, told], ends, axis=0)
    return low, high
