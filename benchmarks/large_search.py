"""Seconds and memory of an exact search in many passages; a program of its own, so that its peak is its own.

    python -m benchmarks.large_search NUM_PASSAGES NUM_QUERIES TOP_K DIM

prints a line of JSON.
"""

import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks.machine import peak_bytes
from hbt_ray.arrays import VectorArray
from hbt_ray.retrieval.scoring.search import search

BLOCK_ROWS = 4096


def large_search(num_passages: int, num_queries: int, top_k: int, dim: int) -> dict[str, Any]:
    """Search random unit vectors; the peak is that of the whole process, interpreter and libraries included."""
    rng = np.random.default_rng(0)
    queries, passages = _unit_vectors(rng, num_queries, dim), _unit_vectors(rng, num_passages, dim)
    before = peak_bytes()
    start = time.perf_counter()
    found = search(queries, passages, top_k)
    seconds = time.perf_counter() - start
    return {
        "num_passages": num_passages,
        "num_queries": num_queries,
        "top_k": found.ids.shape[1],
        "dim": dim,
        "seconds": seconds,
        "vector_bytes": passages.nbytes,
        "peak_bytes_before_search": before,
        "peak_bytes": peak_bytes(),
        "peak_over_vectors": peak_bytes() / passages.nbytes,
    }


def _unit_vectors(rng: np.random.Generator, num_rows: int, dim: int) -> VectorArray:
    vectors = np.empty((num_rows, dim), dtype=np.float32)
    for start in range(0, num_rows, BLOCK_ROWS):  # in place: a temporary of the full size would be the peak
        block = vectors[start : start + BLOCK_ROWS]
        rng.standard_normal(dtype=np.float32, out=block)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


if __name__ == "__main__":
    print(json.dumps(large_search(*map(int, sys.argv[1:]))))
