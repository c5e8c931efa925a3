"""Equal passage vectors must score equally, and a product of float32 matrices does not see to it.

BLAS adds up an inner product in an order that depends on where in the matrix it stands: with OpenBLAS on a CPU of AVX2
equal rows got scores up to 2e-5 apart (vectors of length 20, dimension 384). Copies of a passage would then rank by
chance instead of by row. Rounding the scores would not help: a rounding has edges, at which two sums of one product
part however close they are, and vectors of length 20 need a coarser one than vectors of length 1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import IntArray, VectorArray

BLOCK_ROWS = 4096


class Copies(NamedTuple):
    """Rows [m], ascending, that are equal to an earlier row, and the first such row of each, [m]."""

    later: IntArray
    first: IntArray

    def level(self, scores: VectorArray) -> None:
        """Gives every column of `scores` [n, Nd] that is of a copy the values of its first column."""
        if len(self.later):
            scores[:, self.later] = scores[:, self.first]


def find_copies(vectors: VectorArray) -> Copies:
    """The rows of `vectors` [Nd, dim] that repeat an earlier one bit for bit; memory is a few numbers a row."""
    rows = _alike(_words(vectors[:, :2]))
    hashes = np.empty(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), BLOCK_ROWS):
        hashes[start : start + BLOCK_ROWS] = hashed(vectors[rows[start : start + BLOCK_ROWS]].view(np.uint32))
    _, index, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    first = rows[index[inverse]]
    kept = np.flatnonzero(first < rows)
    for start in range(0, len(kept), BLOCK_ROWS):  # a hash may lie
        part = kept[start : start + BLOCK_ROWS]
        first[part[(vectors[rows[part]] != vectors[first[part]]).any(axis=1)]] = -1
    kept = kept[first[kept] >= 0]
    return Copies(rows[kept], first[kept])


def hashed(words: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """64 bits for each row of `words` [n, dim]: sums of products with random odd numbers."""
    factors = 2 * np.random.default_rng(0).integers(0, 2**63, words.shape[1], dtype=np.uint64) + 1
    hashes: NDArray[np.uint64] = (words.astype(np.uint64) * factors).sum(axis=1)
    return hashes


def _words(vectors: VectorArray) -> IntArray:
    """The bits of one or two float32 a row as one integer, [Nd]."""
    words = np.ascontiguousarray(vectors).view(np.uint32).astype(np.int64)
    return words[:, 0] if words.shape[1] == 1 else (words[:, 0] << 32) ^ words[:, 1]


def _alike(keys: IntArray) -> IntArray:
    """Rows whose key another row has too, ascending: of real vectors those are seldom more than the copies."""
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    member = np.zeros(len(keys), dtype=bool)
    member[order[1:][same]] = member[order[:-1][same]] = True
    return np.flatnonzero(member)
