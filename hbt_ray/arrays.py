"""Array types of the evaluation layer, and the checks that vectors and index arrays pass before use."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbt_ray.errors import EvaluationError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
VectorArray = NDArray[np.float32]
"""Embeddings, one row a text: [num_texts, dim]."""


def index_array(field: str, values: ArrayLike, length: int | None, upper: int) -> IntArray:
    """`values` as int64 [length], each in [0, upper); `length` None skips the length check.

    Raises EvaluationError that names `field` and the first bad position.
    """
    array = np.asarray(values)
    if array.ndim != 1 or (length is not None and len(array) != length):
        want = "one dimension" if length is None else f"shape ({length},)"
        raise EvaluationError(f"{field} has shape {array.shape}, but needs {want}; build it row by row.")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise EvaluationError(f"{field} has dtype {array.dtype}, but holds indices; pass integers.")
    bad = np.flatnonzero((array < 0) | (array >= upper)) if array.size else array
    if len(bad):
        first = int(bad[0])
        raise EvaluationError(
            f"{field}[{first}] is {array[first]}, but must be from 0 to {upper - 1} "
            f"({len(bad)} of {len(array)} values are out of range); check how the set was built."
        )
    return array.astype(np.int64)


def vector_array(field: str, vectors: NDArray[Any], num_rows: int | None = None) -> VectorArray:
    """`vectors` as C-contiguous float32 [num_rows, dim], finite throughout.

    Raises EvaluationError for a wrong shape or type, and for NaN or infinite values, with the first such row.
    """
    if vectors.ndim != 2 or (num_rows is not None and len(vectors) != num_rows):
        rows = "any number of" if num_rows is None else str(num_rows)
        raise EvaluationError(
            f"{field} has shape {vectors.shape}, but needs {rows} rows of one vector each; "
            "encode the texts in the order of the retrieval set."
        )
    if not np.issubdtype(vectors.dtype, np.floating):
        raise EvaluationError(f"{field} has dtype {vectors.dtype}; pass floating-point vectors, best float32.")
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    # A row's sum is finite only if each of its values is, and needs no boolean array of the full size.
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~np.isfinite(array.sum(axis=1, dtype=np.float64)))
    if len(bad):
        raise EvaluationError(
            f"{field} row {bad[0]} holds NaN or infinite values ({len(bad)} of {len(array)} rows do); "
            "the encoder diverged: lower its learning rate, or go back to an earlier checkpoint."
        )
    return array


def vector_pair(
    query_vectors: NDArray[Any],
    passage_vectors: NDArray[Any],
    num_queries: int | None = None,
    num_passages: int | None = None,
) -> tuple[VectorArray, VectorArray]:
    """Both sides checked by `vector_array`; EvaluationError unless they have one dimension and finite products."""
    queries = vector_array("query_vectors", query_vectors, num_queries)
    passages = vector_array("passage_vectors", passage_vectors, num_passages)
    if queries.shape[1] != passages.shape[1]:
        raise EvaluationError(
            f"query_vectors have dimension {queries.shape[1]} and passage_vectors {passages.shape[1]}; "
            "encode both sides with the same model."
        )
    # An infinite score ties with others, and infinity less infinity is NaN, which no ranking has a place for.
    peaks = [max(float(side.max(initial=0)), -float(side.min(initial=0))) for side in (queries, passages)]
    if peaks[0] * peaks[1] * queries.shape[1] > float(np.finfo(np.float32).max):
        raise EvaluationError(
            f"query_vectors reach {peaks[0]:.2g} and passage_vectors {peaks[1]:.2g}, of which inner products in "
            "float32 can overflow; normalise the vectors to unit length."
        )
    return queries, passages
