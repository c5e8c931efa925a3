"""Whose passages fill the top of the pool, and whose are due there."""

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.retrieval.scoring.score import Scores


def due_and_found(scores: Scores) -> tuple[FloatArray, FloatArray]:
    """Share of each language among relevant passages and in the top k, means over query languages, [L] each."""
    assert scores.share is not None
    asked = ~np.isnan(scores.share.found[:, 0])
    return scores.share.relevant[asked].mean(axis=0), scores.share.found[asked].mean(axis=0)


def ceiling(scores: Scores, cutoff: int) -> float:
    """What recall at `cutoff` in the pool can be at most, as answers in more languages than `cutoff` do not fit.

    A bound from the number of languages that answer each query: 1 where none has more than `cutoff`.
    """
    num_langs = (~np.isnan(scores.per_query.pair_ap)).sum(axis=1)
    return float(np.minimum(1.0, cutoff / np.maximum(num_langs, 1)).mean())
