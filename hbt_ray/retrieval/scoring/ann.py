"""Approximate top-k search (FAISS: IVF-Flat, HNSW) that says how much of the exact result it found."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import VectorArray, vector_pair
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.search import TopK, search
from hbt_ray.retrieval.scoring.sharded import merge_top_k

SAMPLE = 200
"""Queries on which recall is measured: a standard error of 0.007 where it is 0.99 for each passage on its own."""
SAME_SCORE = 1e-6
"""Share of a score by which two ways of summing an inner product may differ."""
POINTS_PER_LIST = 39
"""FAISS asks for as many to train a centroid."""

Params = dict[str, int]


@dataclass(frozen=True, kw_only=True)
class ApproximateReport:
    """What an approximate search did."""

    kind: str
    params: Params
    """All of them, defaults included."""
    recall: float
    """Of the exact top k of a sample of the queries, the mean share that was found, 0 to 1. A passage that scores as
    the exact one at place k counts as found."""
    num_sampled: int
    num_exact: int
    """Queries for which the index gave fewer than k passages, so that they were searched exactly."""
    build_s: float
    search_s: float
    """Seconds, exact searches for `num_exact` queries included, and those for the recall not."""


def ann_search(
    query_vectors: NDArray[Any],
    passage_vectors: NDArray[Any],
    top_k: int,
    kind: str,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    **params: int,
) -> tuple[TopK, ApproximateReport]:
    """Top k by inner product, found by an index; ordered as by `search`, and never with less than k passages.

    Kinds and their parameters:
        ivf: `nlist` lists (4 sqrt(Nd), fewer where centroids would lack points), of which `nprobe` are searched (a
            sixteenth, at least 8). Same lists for the same seed and number of threads.
        hnsw: `m` links a passage (32), `ef_construction` candidates when building (100), `ef_search` when searching
            (2 top_k, at least 128; not below top_k), `build_threads` (1: the same graph for the same seed; more are
            faster, and the graph then depends on which thread was first). For vectors of length one: without that,
            the graph leads past passages.

    Args:
        query_vectors: [Nq, dim].
        passage_vectors: [Nd, dim]; the index holds a copy.
        top_k: passages a query; at most Nd come back.
        kind: "ivf" or "hnsw".
        sample: queries that are searched exactly as well, to measure recall.
        seed: of the sample, of the centroids and of the levels of the graph.
        params: those of the kind; what is left out is chosen by size.

    Raises:
        EvaluationError: as for `search`; an unknown kind or parameter, or a value that cannot be used.
    """
    if kind not in KINDS:
        raise EvaluationError(f"kind is {kind!r}; allowed are {', '.join(KINDS)}.")
    queries, passages = vector_pair(query_vectors, passage_vectors)
    if min(top_k, sample, len(queries), len(passages)) < 1:
        raise EvaluationError(
            f"approximate search was asked for top_k = {top_k} of {len(passages)} passages for {len(queries)} queries "
            f"with a sample of {sample}; all must be 1 or more."
        )
    top_k = min(top_k, len(passages))
    defaults, build = KINDS[kind]
    chosen = _choose(kind, defaults(len(passages), top_k), params)
    _check(chosen, len(passages), top_k)
    started = time.perf_counter()
    index = build(passages, chosen, seed)
    built = time.perf_counter()
    scores, ids = index.search(queries, top_k)
    few = np.flatnonzero((ids < 0).any(axis=1))
    if len(few):
        scores[few], ids[few] = search(queries[few], passages, top_k)
    found = merge_top_k([TopK(scores, ids)], top_k)
    searched = time.perf_counter()
    rows = np.random.default_rng(seed).choice(len(queries), min(sample, len(queries)), replace=False)
    report = ApproximateReport(
        kind=kind,
        params=chosen,
        recall=_recall(found.scores[rows], search(queries[rows], passages, top_k).scores),
        num_sampled=len(rows),
        num_exact=len(few),
        build_s=built - started,
        search_s=searched - built,
    )
    return found, report


def _choose(kind: str, defaults: Params, params: Mapping[str, int]) -> Params:
    for name, value in params.items():
        if name not in defaults:
            raise EvaluationError(f"{kind} has no parameter {name!r}; it has {', '.join(defaults)}.")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise EvaluationError(f"{kind} parameter {name} is {value!r}; it must be an integer of 1 or more.")
    chosen = defaults | dict(params)
    if "nprobe" in chosen and "nprobe" not in params:
        chosen["nprobe"] = _nprobe(chosen["nlist"])
    return chosen


def _check(chosen: Params, num_passages: int, top_k: int) -> None:
    limits = {"nlist": (1, num_passages), "nprobe": (1, chosen.get("nlist", 1)), "m": (2, None)}
    limits["ef_search"] = (top_k, None)
    for name, (low, high) in limits.items():
        if name in chosen and not low <= chosen[name] <= (high or chosen[name]):
            upper = f" to {high}" if high else " or more"
            raise EvaluationError(f"{name} is {chosen[name]}; here it must be {low}{upper}.")


def _recall(scores: VectorArray, exact: VectorArray) -> float:
    last = exact[:, -1:]
    return float((scores >= last - SAME_SCORE * np.maximum(1, np.abs(last))).mean())


def _ivf_defaults(num_passages: int, top_k: int) -> Params:
    nlist = max(1, min(int(4 * num_passages**0.5), num_passages // POINTS_PER_LIST))
    return {"nlist": nlist, "nprobe": _nprobe(nlist)}


def _nprobe(nlist: int) -> int:
    return min(nlist, max(8, nlist // 16))


def _build_ivf(passages: VectorArray, params: Params, seed: int) -> Any:
    dim = passages.shape[1]
    quantizer = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFFlat(quantizer, dim, params["nlist"], faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed
    index.cp.min_points_per_centroid = 1  # more lists than advised is a choice, and nothing to print about
    index.train(passages)
    index.add(passages)
    index.nprobe = params["nprobe"]
    return index


def _hnsw_defaults(num_passages: int, top_k: int) -> Params:
    return {"m": 32, "ef_construction": 100, "ef_search": max(128, 2 * top_k), "build_threads": 1}


def _build_hnsw(passages: VectorArray, params: Params, seed: int) -> Any:
    index: Any = faiss.IndexHNSWFlat(passages.shape[1], params["m"], faiss.METRIC_INNER_PRODUCT)
    index.hnsw.rng = faiss.RandomGenerator(seed)  # type: ignore[attr-defined]
    index.hnsw.efConstruction = params["ef_construction"]
    index.hnsw.efSearch = params["ef_search"]
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(params["build_threads"])
    try:
        index.add(passages)
    finally:
        faiss.omp_set_num_threads(threads)
    return index


KINDS: dict[str, tuple[Callable[[int, int], Params], Callable[[VectorArray, Params, int], Any]]] = {
    "ivf": (_ivf_defaults, _build_ivf),
    "hnsw": (_hnsw_defaults, _build_hnsw),
}
"""Name -> (parameters by number of passages and k, how the index is built)."""
