"""Questions drawn again: which of them belong together, and how often each is drawn.

The parallel queries of a question are drawn together, because they succeed and fail together. Where questions are
asked in some of the languages only, a plain draw can leave a language without any, and a mean over languages would
then be one over fewer of them. So questions are drawn within strata, as few as it takes that every language keeps
one: a set whose questions are all asked in all languages is one stratum, a set of unconnected languages has one a
language. A stratum that holds a single question always draws it, and adds nothing to the width of an interval.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray, IntArray

BLOCK_BYTES = 32 * 2**20
"""Question weights held at a time."""


class Cells(NamedTuple):
    """A number taken apart; K questions, C cells (query languages, or ordered language pairs).

    The number is the mean over cells of `sums.sum(axis=0) / counts.sum(axis=0)`, or the lowest of them where
    `worst`. Cells that no question fills are left out.
    """

    sums: FloatArray
    """Sum of the values of question k that fall into cell c, [K, C]."""
    counts: FloatArray
    """How many values those are, [K, C]; the same for every model on one set."""
    worst: bool = False
    """Whether the number is the lowest cell instead of the mean."""


def strata(fills: NDArray[np.bool_]) -> IntArray:
    """The stratum of each question, [K], numbered from 0.

    `fills` [K, C] says which of the values that must stay defined each question adds to, such as the mean of a
    language. From the rarest value on, the stratum with most of its questions is split into those that add to it
    and the others, unless some stratum consists of its questions alone: of that one a draw always has some.
    """
    stratum = np.zeros(len(fills), dtype=np.int64)
    for column in np.argsort(fills.sum(axis=0), kind="stable"):
        adds = fills[:, column]
        if not adds.any():
            continue
        of_them, size = np.bincount(stratum[adds], minlength=stratum.max() + 1), np.bincount(stratum)
        if (of_them < size).all():
            stratum[adds & (stratum == of_them.argmax())] = len(size)
    return stratum


def question_weights(stratum: IntArray, num_resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """How often each question is drawn, blocks of [n, K], `num_resamples` rows in all.

    From each stratum as many are drawn as it has, with replacement; `stratum` [K] as `strata` numbers them.
    """
    num_questions = len(stratum)
    members = [np.flatnonzero(stratum == number) for number in range(stratum.max() + 1)]
    for size in blocks(num_resamples, num_questions):
        drawn = np.concatenate([rows[rng.integers(0, len(rows), (size, len(rows)))] for rows in members], axis=1)
        place = (drawn + num_questions * np.arange(size)[:, None]).ravel()
        yield np.bincount(place, minlength=size * num_questions).reshape(size, num_questions).astype(np.float64)


def blocks(num_rows: int, num_questions: int) -> Iterator[int]:
    """Sizes of the blocks in which rows of `num_questions` values are held."""
    block = max(1, BLOCK_BYTES // (8 * num_questions))
    for start in range(0, num_rows, block):
        yield min(block, num_rows - start)


def weighted_number(weights: FloatArray, cells: Cells) -> FloatArray:
    """The number [R] when question k is taken `weights[r, k]` times, [R, K]; NaN if no cell has a value."""
    return reduce_cells(weights @ cells.sums, weights @ cells.counts, cells.worst)


def reduce_cells(sums: FloatArray, counts: FloatArray, worst: bool) -> FloatArray:
    """The number [R] from the sum and the number of values in each cell, both [R, C]."""
    filled = counts > 0
    num_filled = filled.sum(axis=1)
    means = np.divide(sums, counts, out=np.full_like(sums, np.inf if worst else 0.0), where=filled)
    number = means.min(axis=1, initial=np.inf) if worst else means.sum(axis=1) / np.maximum(num_filled, 1)
    return np.where(num_filled > 0, number, np.nan)
