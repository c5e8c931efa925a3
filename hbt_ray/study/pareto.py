"""The points that no other point beats in everything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray


def pareto_front(numbers: FloatArray) -> NDArray[np.bool_]:
    """Which of P points are on the front, [..., P], for `numbers` [..., P, M] of which higher is better.

    A point is off the front where another is at least as good in every number and better in one; of equal points
    all are on it.
    """
    front = np.empty(numbers.shape[:-1], dtype=np.bool_)
    for at in range(numbers.shape[-2]):  # one at a time: all pairs of hundreds of points in thousands of draws are many
        ours = numbers[..., at : at + 1, :]
        beaten = (numbers >= ours).all(axis=-1) & (numbers > ours).any(axis=-1)
        front[..., at] = ~beaten.any(axis=-1)
    return front


def beaten_by(numbers: FloatArray, at: int) -> list[int]:
    """Points that beat point `at` of `numbers` [P, M]."""
    better = (numbers >= numbers[at]).all(axis=1) & (numbers > numbers[at]).any(axis=1)
    return [int(found) for found in np.flatnonzero(better)]
