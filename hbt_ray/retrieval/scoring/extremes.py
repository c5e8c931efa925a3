"""Which pairs of languages stand out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hbt_ray.arrays import FloatArray


class Pair(NamedTuple):
    """A query language, a passage language and the mAP of one on the other."""

    query: str
    passage: str
    value: float


def extreme_pairs(langs: Sequence[str], matrix: FloatArray, num: int) -> tuple[list[Pair], list[Pair]]:
    """The best and the worst ordered pairs of two languages, at most `num` each and none in
    both, the most extreme first."""
    row, column = np.nonzero(~np.eye(len(langs), dtype=bool) & ~np.isnan(matrix))
    order = np.argsort(-matrix[row, column], kind="stable")
    pairs = [Pair(langs[row[at]], langs[column[at]], float(matrix[row[at], column[at]])) for at in order]
    count = min(num, len(pairs) // 2)
    return pairs[:count], pairs[::-1][:count]
