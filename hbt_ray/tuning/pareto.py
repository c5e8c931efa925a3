"""The points that no other point beats in everything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hbt_ray.evaluation.arrays import FloatArray


def pareto_front(numbers: FloatArray) -> NDArray[np.bool_]:
    """Which of P points are on the front, [..., P], for `numbers` [..., P, M] of which higher is better.

    A point is off the front where another is at least as good in every number and better in one; of equal points
    all are on it.
    """
    ours, theirs = numbers[..., :, None, :], numbers[..., None, :, :]
    beaten = (theirs >= ours).all(axis=-1) & (theirs > ours).any(axis=-1)
    return np.logical_not(beaten.any(axis=-1))


def beaten_by(numbers: FloatArray, at: int) -> list[int]:
    """Points that beat point `at` of `numbers` [P, M]."""
    better = (numbers >= numbers[at]).all(axis=1) & (numbers > numbers[at]).any(axis=1)
    return [int(found) for found in np.flatnonzero(better)]
