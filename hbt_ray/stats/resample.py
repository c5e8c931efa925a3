"""Questions drawn again: which of them belong together, and how often each is drawn.

The parallel queries of a question are drawn together, because they succeed and fail together. Where questions are
asked in some of the languages only, a plain draw can leave a language without any, and a mean over languages would
then be one over fewer of them. So questions are drawn within strata, as few as it takes that every language keeps
one: a set whose questions are all asked in all languages is one stratum, a set of unconnected languages has one a
language. A stratum that holds a single question always draws it, and adds nothing to the width of an interval.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray, IntArray

BLOCK_BYTES = 32 * 2**20
"""Question weights held at a time."""


def strata(fills: NDArray[np.bool_]) -> IntArray:
    """The stratum of each question, [K], numbered from 0.

    `fills` [K, C] says which of the values that must stay defined each question adds to, such as the mean of a
    language. From the rarest value on, the stratum with most of its questions is split into those that add to it
    and the others, unless some stratum consists of its questions alone: of that one a draw always has some.
    """
    found = np.zeros(len(fills), dtype=np.int64)
    for column in np.argsort(fills.sum(axis=0), kind="stable"):
        adds = fills[:, column]
        if not adds.any():
            continue
        of_them, size = np.bincount(found[adds], minlength=found.max() + 1), np.bincount(found)
        if (of_them < size).all():
            found[adds & (found == of_them.argmax())] = len(size)
    return found


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
