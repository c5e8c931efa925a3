"""Weights of language pairs with which every pair comes as often as any other, as far as the items allow."""

from __future__ import annotations

import numpy as np

ROUNDS = 200
MAX_CELLS = 1 << 24
"""Patterns x pairs looked at in a round: 128 MiB of float64."""


def equal_weights(allowed: np.ndarray, patterns: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """float64 [num_langs, num_langs]: weights with which rows draw their pair; 0 where `allowed` is False.

    An item draws among its own pairs in proportion to their weights. Iterative proportional fitting: a pair that comes
    more often than the mean gets less weight, until all come alike. A pair that too few items have stays below: it is
    then drawn whenever it can be. Source: Deming and Stephan 1940, https://doi.org/10.1214/aoms/1177731829.

    Args:
        allowed: bool [num_langs, num_langs], the ordered pairs of this kind of step.
        patterns: bool [p, num_langs], sets of languages that items have.
        counts: [p], items that have each.
    """
    first, second = np.nonzero(allowed)
    room = max(1, MAX_CELLS // max(len(first), 1))
    if len(patterns) > room:
        kept = np.argsort(-counts, kind="stable")[:room]
        patterns, counts = patterns[kept], counts[kept]
    has = patterns[:, first] & patterns[:, second]
    has, counts = has[has.any(axis=1)], counts[has.any(axis=1)]
    possible = has.any(axis=0)
    weights = np.ones(len(first))
    for _ in range(ROUNDS):
        drawn = (counts[:, None] * has * weights / (has @ weights)[:, None]).sum(axis=0)
        ratio = drawn[possible].mean() / drawn[possible]
        weights[possible] *= np.clip(ratio, 0.1, 10)
        weights = np.clip(weights / weights[possible].max(), 1e-9, None)
        if np.abs(ratio - 1).max() < 1e-3:
            break
    out = np.zeros(allowed.shape)
    out[first, second] = weights
    return out
