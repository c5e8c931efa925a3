"""Approximate top-k search with FAISS's IVF-Flat index, which says how much of the exact result it gave.

IVF and not HNSW: its recall rises to 1 with the lists that are searched, for vectors of any length, and it is built
by many threads with one result; the graph of HNSW is the same for a seed only where one thread builds it.
"""

from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import VectorArray, vector_pair
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.search import TopK, ordered, search

SAMPLE = 200
"""Queries on which recall is measured: a standard error of 0.007 where it is 0.99 for each passage on its own."""
SAME_SCORE = 1e-6
"""Share of a score by which two ways of summing an inner product may differ."""
POINTS_PER_LIST = 39
"""FAISS asks for as many to train a centroid."""


class IvfReport(NamedTuple):
    """What an approximate search did."""

    nlist: int
    nprobe: int
    recall: float
    """Of the exact top k of a sample of the queries, the mean share that was given, 0 to 1. A passage that scores as
    the exact one at place k counts."""


def ivf_search(
    query_vectors: NDArray[Any],
    passage_vectors: NDArray[Any],
    top_k: int,
    *,
    nlist: int = 0,
    nprobe: int = 0,
    sample: int = SAMPLE,
    seed: int = 0,
) -> tuple[TopK, IvfReport]:
    """Top k by inner product from an index; ordered as by `search`, and never with less than k passages.

    Same lists for the same seed and number of threads. A query for which the searched lists hold fewer than k
    passages is searched exactly.

    Args:
        query_vectors: [Nq, dim].
        passage_vectors: [Nd, dim]; the index holds a copy.
        top_k: passages a query; at most Nd come back.
        nlist: lists of passages; 0: 4 sqrt(Nd), fewer where centroids would lack points.
        nprobe: lists that are searched; 0: a sixteenth, at least 8.
        sample: queries that are searched exactly as well, to measure recall.
        seed: of the sample and of the centroids.

    Raises:
        EvaluationError: as for `search`, no queries or sample, or more lists than passages, or than lists.
    """
    queries, passages = vector_pair(query_vectors, passage_vectors)
    if min(top_k, sample, len(queries), len(passages)) < 1:
        raise EvaluationError(
            f"approximate search was asked for top_k = {top_k} of {len(passages)} passages for {len(queries)} queries "
            f"with a sample of {sample}; all must be 1 or more."
        )
    top_k = min(top_k, len(passages))
    nlist = nlist or max(1, min(int(4 * len(passages) ** 0.5), len(passages) // POINTS_PER_LIST))
    nprobe = nprobe or min(nlist, max(8, nlist // 16))
    for name, value, most in (("nlist", nlist, len(passages)), ("nprobe", nprobe, nlist)):
        if not 1 <= value <= most:
            raise EvaluationError(f"{name} is {value}; here it must be 1 to {most}.")
    scores, ids = _index(passages, nlist, nprobe, seed).search(queries, top_k)
    short = np.flatnonzero((ids < 0).any(axis=1))
    if len(short):
        scores[short], ids[short] = search(queries[short], passages, top_k)
    top = ordered(scores, ids, top_k)
    rows = np.random.default_rng(seed).choice(len(queries), min(sample, len(queries)), replace=False)
    last = search(queries[rows], passages, top_k).scores[:, -1:]
    recall = (top.scores[rows] >= last - SAME_SCORE * np.maximum(1, np.abs(last))).mean()
    return top, IvfReport(nlist, nprobe, float(recall))


def _index(passages: VectorArray, nlist: int, nprobe: int, seed: int) -> Any:
    dim = passages.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, nlist, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed
    index.cp.min_points_per_centroid = 1  # more lists than advised is a choice, and nothing to print about
    index.train(passages)
    index.add(passages)
    index.nprobe = nprobe
    return index
