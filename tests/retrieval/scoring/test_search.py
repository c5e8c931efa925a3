import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring import search as search_module
from hbt_ray.retrieval.scoring.search import search
from tests.retrieval.conftest import brute_ranking, tied_vectors


def brute(queries, passages, k):
    scores = queries.astype(np.float64) @ passages.astype(np.float64).T
    ids = np.array([brute_ranking(row, np.arange(len(passages)))[:k] for row in scores])
    return np.take_along_axis(scores, ids, axis=1), ids


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 80), st.integers(1, 12), st.integers(0, 2))
def test_equal_to_a_full_sort_with_ties(seed, num_queries, num_passages, k, levels):
    rng = np.random.default_rng(seed)
    queries, passages = (
        tied_vectors(rng, num_queries, levels=2),
        tied_vectors(rng, num_passages, levels=levels),
    )
    got = search(queries, passages, k)
    scores, ids = brute(queries, passages, k)
    np.testing.assert_array_equal(got.ids, ids)
    np.testing.assert_array_equal(got.scores, scores)


def test_real_valued_scores():
    rng = np.random.default_rng(0)
    queries, passages = rng.standard_normal((300, 48)), rng.standard_normal((2500, 48))
    got = search(queries, passages, 10)
    scores, ids = brute(queries, passages, 10)
    np.testing.assert_array_equal(got.ids, ids)
    np.testing.assert_allclose(got.scores, scores, rtol=1e-5, atol=1e-5)
    assert got.scores.dtype == np.float32


@pytest.mark.parametrize("k", [1, 5, 60, 700])
def test_copies_come_in_the_order_of_rows_whatever_blas_makes_of_them(k):
    rng = np.random.default_rng(5)
    queries = rng.standard_normal((80, 384)).astype(np.float32)
    passages = rng.standard_normal((700, 384)).astype(np.float32)
    for vectors in (queries, passages):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    copies = {first: {first, *rng.integers(20, 700, 60).tolist()} for first in (3, 7, 11)}
    copies[3] -= copies[7] | copies[11]
    copies[7] -= copies[11]
    for first, rows in copies.items():
        passages[sorted(rows)] = passages[first]
    got = search(queries, passages, k)
    want = brute(queries, passages, k)
    np.testing.assert_allclose(got.scores, want[0], atol=1e-5)
    for ids, scores in zip(got.ids, got.scores, strict=True):
        assert len(set(ids)) == k
        for rows in copies.values():
            places = np.flatnonzero(np.isin(ids, list(rows)))
            assert ids[places].tolist() == sorted(rows)[: len(places)]  # the lowest rows, in their order
            assert len(set(scores[places])) <= 1
            assert (np.diff(places) == 1).all()


def test_a_collapsed_encoder_finds_the_first_rows(monkeypatch):
    monkeypatch.setattr(search_module, "TILE_BYTES", 4 * 300 * 3)  # three rows with ties at a time
    queries, passages = np.ones((10, 4), dtype=np.float32), np.ones((300, 4), dtype=np.float32)
    passages[250] *= 2
    got = search(queries, passages, 20)
    assert got.ids.tolist() == [[250, *range(19)]] * 10
    assert got.scores.tolist() == [[8.0] + [4.0] * 19] * 10


def test_the_vectors_are_not_copied():
    passages = np.random.default_rng(0).standard_normal((20_000, 128), dtype=np.float32)
    tracemalloc.start()  # NumPy's arrays alone, so what FAISS holds is not in it
    search(passages[:50], passages, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < passages.nbytes / 10


def test_the_module_loads_no_heavy_package():
    code = "import sys, hbt_ray.retrieval.scoring.search; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "ray", "mlflow", "pyarrow", "scipy", "datasets"} & set(loaded)


def test_edges():
    vectors = np.ones((3, 2), dtype=np.float32)
    assert search(vectors[:0], vectors, 2).ids.shape == (0, 2)
    assert search(vectors, vectors, 99).ids.tolist() == [[0, 1, 2]] * 3
    with pytest.raises(EvaluationError, match="top_k = 0"):
        search(vectors, vectors, 0)
    with pytest.raises(EvaluationError, match="of 0 passages"):
        search(vectors, vectors[:0], 1)
