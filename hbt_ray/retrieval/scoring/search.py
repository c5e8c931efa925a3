"""Exact top-k search by inner product (FAISS), with an order that does not depend on chance."""

from dataclasses import replace
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import IntArray, VectorArray, vector_pair
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.copies import Copies, find_copies
from hbt_ray.retrieval.scoring.own import lists_without_own, num_own
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

SPARE = 8
"""Passages fetched beyond k, so that a tie at place k is seen; a tie that is longer is ranked in full."""
TILE_BYTES = 64 * 2**20
"""Scores held at a time where FAISS does not hold them: rows with long ties, and passages of several texts."""


class TopK(NamedTuple):
    """The best passages of every query, best first; k is at most the number of passages."""

    scores: VectorArray
    """Inner products, [Nq, k]."""
    ids: IntArray
    """Passage rows, [Nq, k]."""


def ordered(scores: VectorArray, ids: IntArray, top_k: int) -> TopK:
    """The best `top_k` of lists [Nq, any] in any order: by descending score, equal scores by ascending row."""
    order = np.lexsort((ids, -scores), axis=1)[:, :top_k]
    return TopK(np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1))


def search(query_vectors: NDArray[Any], passage_vectors: NDArray[Any], top_k: int) -> TopK:
    """The `top_k` passages of the largest float32 inner product; equal scores go to the lower row first.

    `query_vectors` [Nq, dim], `passage_vectors` [Nd, dim]. Exact: every passage is compared, and copies of one
    score alike (`copies`). Memory beyond the result: some tens of MB of FAISS, `TILE_BYTES` where long ties are
    resolved, and a copy of the vectors only where they are not C-contiguous float32. Raises EvaluationError for NaN
    or infinite vectors, two dimensions, no passages, and `top_k` below 1.
    """
    queries, passages = vector_pair(query_vectors, passage_vectors)
    if top_k < 1 or not len(passages):
        raise EvaluationError(
            f"search was asked for top_k = {top_k} of {len(passages)} passages; both must be 1 or more."
        )
    top_k = min(top_k, len(passages))
    if not len(queries):
        return TopK(np.empty((0, top_k), dtype=np.float32), np.empty((0, top_k), dtype=np.int64))
    fetch = min(top_k + SPARE, len(passages))
    scores, ids = faiss.knn(queries, passages, fetch, metric=faiss.METRIC_INNER_PRODUCT)
    # FAISS returns any of the passages that tie: if the last one fetched ties with place k, more may.
    open_rows = np.flatnonzero(scores[:, -1] == scores[:, top_k - 1]) if fetch < len(passages) else ()
    copies = find_copies(passages)
    with_copies = _with_copies(scores, ids, top_k, copies, len(passages))
    scores, ids = ordered(scores, ids, top_k)
    for row, best in with_copies:
        scores[row], ids[row] = best
    tile = max(1, TILE_BYTES // (4 * len(passages)))
    for start in range(0, len(open_rows), tile):
        rows = open_rows[start : start + tile]
        products = queries[rows] @ passages.T
        copies.level(products)
        scores[rows], ids[rows] = _best(products, top_k)
    return TopK(scores, ids)


def search_set(
    retrieval_set: RetrievalSet, query_vectors: NDArray[Any], passage_vectors: NDArray[Any], top_k: int
) -> TopK:
    """`search` in the pool of a set, by passage also where passages have several texts each (`text_passages`).

    A passage then scores as the best of its texts; the scores are held a tile at a time. A query's own passages are
    left out, and -1 stands where a list so has no more.
    """
    parts = retrieval_set.text_passages
    if more := num_own(retrieval_set):
        with_them = replace(
            retrieval_set, own_queries=np.empty(0, dtype=np.int64), own_passages=np.empty(0, dtype=np.int64)
        )
        top = search_set(with_them, query_vectors, passage_vectors, top_k + more)
        places, ids = lists_without_own(retrieval_set, top.ids, top_k)
        return TopK(np.take_along_axis(top.scores, places, axis=1), ids)
    if parts is None:
        return search(query_vectors, passage_vectors, top_k)
    queries, texts = vector_pair(query_vectors, passage_vectors, retrieval_set.num_queries, retrieval_set.num_texts)
    top_k = min(top_k, retrieval_set.num_passages)
    if top_k < 1:
        raise EvaluationError(f"search was asked for top_k = {top_k}; it must be 1 or more.")
    starts = np.searchsorted(parts, np.arange(retrieval_set.num_passages))
    scores = np.empty((len(queries), top_k), dtype=np.float32)
    ids = np.empty((len(queries), top_k), dtype=np.int64)
    tile = max(1, TILE_BYTES // (4 * len(texts)))
    copies = find_copies(texts)
    for first in range(0, len(queries), tile):
        rows = slice(first, first + tile)
        products = queries[rows] @ texts.T
        copies.level(products)
        scores[rows], ids[rows] = _best(np.maximum.reduceat(products, starts, axis=1), top_k)
    return TopK(scores, ids)


def _best(scores: VectorArray, top_k: int) -> TopK:
    """The `top_k` of every row of `scores` [n, Nd], equal ones by ascending row."""
    ids = np.empty((len(scores), top_k), dtype=np.int64)
    for row, out in zip(scores, ids, strict=True):
        # All that reach place k, by ascending row: with ties at that place more than k, but seldom many more.
        reached = np.flatnonzero(row >= np.partition(row, -top_k)[-top_k])
        out[:] = reached[np.argsort(-row[reached], kind="stable")[:top_k]]
    return TopK(np.take_along_axis(scores, ids, axis=1), ids)


def _with_copies(
    scores: VectorArray, ids: IntArray, top_k: int, copies: Copies, num_passages: int
) -> list[tuple[int, tuple[VectorArray, IntArray]]]:
    """(row, its best `top_k`) of the lists [Nq, any] that hold a passage of which there are copies.

    All copies get the best score that one of them has in the list. So none is missed whose place is among the first:
    that score was high enough for the list.
    """
    group = np.full(num_passages, -1)
    group[copies.first], group[copies.later] = copies.first, copies.first
    by_group = np.argsort(copies.first, kind="stable")  # stable: ascending rows inside a group
    later, groups = copies.later[by_group], copies.first[by_group]
    out = []
    for row in np.flatnonzero((group[ids] >= 0).any(axis=1)):
        passages, score = ids[row], scores[row]
        alone = group[passages] < 0
        parts = [(score[alone], passages[alone])]
        for first in np.unique(group[passages[~alone]]):
            # Copies are level, so that no more than the first `top_k` of them can be among the best.
            start, stop = np.searchsorted(groups, [first, first + 1])
            members = np.append(first, later[start : min(stop, start + top_k - 1)])
            parts.append((np.full(len(members), score[group[passages] == first].max()), members))
        joined = TopK(*(np.concatenate(part)[None] for part in zip(*parts, strict=True)))
        best = ordered(*joined, top_k)
        out.append((int(row), (best[0][0], best[1][0])))
    return out
