"""Exact search over passages in shards, on Ray's workers, with the result of `search` over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import VectorArray, vector_pair
from hbt_ray.cluster.tasks import remote_errors
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.search import TopK, ordered, search

QUERY_TILE = 4096
"""Least queries at a time: FAISS takes another way through few queries, whose sums differ in the last bits."""
TILES_IN_FLIGHT = 2
"""Tiles that are searched at once, so that no worker waits for the slowest shard of a tile."""


def sharded_search(
    query_vectors: NDArray[Any],
    passage_vectors: NDArray[Any],
    top_k: int,
    *,
    num_shards: int,
    num_cpus: int = 1,
    query_tile: int = QUERY_TILE,
) -> TopK:
    """`search`, with the passages cut into shards that Ray's workers search; Ray must be connected.

    Every shard is searched by `search` for its own `top_k`, so no passage of the result is lost, and the merge
    orders by score and then by row, as `search` does: ids are the same, ties across shards included. Where the sums
    of inner products round otherwise in a matrix of another shape, scores differ by that rounding, and only passages
    that are as close to each other as that can change places.

    Args:
        query_vectors: [Nq, dim].
        passage_vectors: [Nd, dim], whose shards are put into the object store once.
        top_k: passages a query; at most Nd come back.
        num_shards: about as many as workers; more shards than passages are not made.
        num_cpus: cores, and threads, of a worker.
        query_tile: queries at a time; a last tile that would be shorter joins the one before.

    Raises:
        EvaluationError: as for `search`, or `num_shards` or `query_tile` below 1.
        ClusterError: no node has `num_cpus` cores.
    """
    import ray

    from hbt_ray.cluster.capacity import num_places

    if min(num_shards, query_tile) < 1:
        raise EvaluationError(f"num_shards is {num_shards} and query_tile {query_tile}; both must be 1 or more.")
    queries, passages = vector_pair(query_vectors, passage_vectors)
    if top_k < 1 or not len(passages):
        raise EvaluationError(
            f"search was asked for top_k = {top_k} of {len(passages)} passages; both must be 1 or more."
        )
    if not len(queries):
        none = (0, min(top_k, len(passages)))
        return TopK(np.empty(none, dtype=np.float32), np.empty(none, dtype=np.int64))
    num_places("sharded search", num_cpus)
    bounds = np.linspace(0, len(passages), min(num_shards, len(passages)) + 1).astype(int).tolist()
    shards = [(ray.put(passages[start:stop]), start) for start, stop in pairwise(bounds)]
    task = ray.remote(num_cpus=num_cpus)(_search_shard)
    waiting: list[list[Any]] = []
    merged: list[TopK] = []

    def collect() -> None:
        with remote_errors("sharded search"):
            merged.append(merge_top_k(ray.get(waiting.pop(0)), top_k))

    for start, stop in _tiles(len(queries), query_tile):
        tile = ray.put(queries[start:stop])
        waiting.append([task.remote(tile, *shard, top_k, num_cpus) for shard in shards])
        if len(waiting) == TILES_IN_FLIGHT:
            collect()
    while waiting:
        collect()
    return TopK(*(np.concatenate(parts) for parts in zip(*merged, strict=True)))


def merge_top_k(parts: Sequence[TopK], top_k: int) -> TopK:
    """The best `top_k` of several results for the same queries, whose ids are rows of one matrix."""
    scores, ids = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    return ordered(scores, ids, top_k)


def _search_shard(queries: VectorArray, passages: VectorArray, start: int, top_k: int, num_threads: int) -> TopK:
    import faiss

    faiss.omp_set_num_threads(num_threads)
    top = search(queries, passages, top_k)
    return TopK(top.scores, top.ids + start)


def _tiles(num_queries: int, tile: int) -> Iterator[tuple[int, int]]:
    starts = range(0, max(num_queries - tile, 0) + 1, tile)
    yield from zip(starts, [*starts[1:], num_queries], strict=True)
