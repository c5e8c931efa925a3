from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import ClusterError, EvaluationError
from hbt_ray.retrieval.scoring.search import TopK, search
from hbt_ray.retrieval.scoring.sharded import _tiles, merge_top_k, sharded_search
from tests.retrieval.conftest import tied_vectors

NEAR = 1e-6


def unit(rng, num_rows, dim):
    vectors = rng.standard_normal((num_rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def assert_equal(got, expected):
    np.testing.assert_array_equal(got.ids, expected.ids)
    np.testing.assert_array_equal(got.scores, expected.scores)
    assert (got.ids.dtype, got.scores.dtype) == (np.int64, np.float32)


def assert_near(got, expected, queries, passages):
    """Equal up to the rounding of sums: where a place holds another passage, it scores the same but for 1e-6."""
    np.testing.assert_allclose(got.scores, expected.scores, rtol=0, atol=NEAR)
    exact = np.einsum("qd,qkd->qk", queries.astype(np.float64), passages[got.ids].astype(np.float64))
    np.testing.assert_allclose(got.scores, exact, rtol=0, atol=NEAR)
    assert all(len(set(row)) == len(row) for row in got.ids.tolist())
    alone = np.diff(expected.scores, axis=1) < -4 * NEAR  # no neighbour as near as that
    sure = np.pad(alone, ((0, 0), (1, 0)), constant_values=True) & np.pad(alone, ((0, 0), (0, 1)))
    np.testing.assert_array_equal(got.ids[sure], expected.ids[sure])
    assert sure.mean() > 0.8


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 12), st.lists(st.integers(0, 60), max_size=5))
def test_the_merge_of_any_shards_is_the_search_of_all(seed, num_passages, k, cuts):
    rng = np.random.default_rng(seed)
    queries, passages = tied_vectors(rng, 7), tied_vectors(rng, num_passages, levels=1)
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < num_passages}), num_passages]
    parts = []
    for start, stop in pairwise(bounds):
        found = search(queries, passages[start:stop], k)
        parts.append(TopK(found.scores, found.ids + start))
    rng.shuffle(parts)
    assert_equal(merge_top_k(parts, k), search(queries, passages, k))


@given(st.integers(1, 50), st.integers(1, 20))
def test_tiles_cover_the_queries_and_none_is_short(num_queries, tile):
    tiles = list(_tiles(num_queries, tile))
    assert [row for start, stop in tiles for row in range(start, stop)] == list(range(num_queries))
    assert all(tile <= stop - start < 2 * tile for start, stop in tiles) or num_queries < tile


@pytest.mark.ray
def test_many_ties_across_shards(ray_session):
    rng = np.random.default_rng(1)
    queries, passages = tied_vectors(rng, 50), tied_vectors(rng, 500, levels=1)
    expected = search(queries, passages, 25)
    assert (np.diff(expected.scores, axis=1) == 0).mean() > 0.5
    assert_equal(sharded_search(queries, passages, 25, num_shards=3, query_tile=20), expected)
    assert_equal(sharded_search(queries, passages, 25, num_shards=7), expected)
    assert_equal(sharded_search(queries, passages[:4], 9, num_shards=7), search(queries, passages[:4], 9))
    assert sharded_search(queries[:0], passages, 9, num_shards=2).ids.shape == (0, 9)


@pytest.mark.ray
def test_random_vectors(ray_session):
    rng = np.random.default_rng(2)
    queries, passages = unit(rng, 700, 96), unit(rng, 5000, 96)
    got = sharded_search(queries, passages, 20, num_shards=4, num_cpus=2, query_tile=300)
    assert_near(got, search(queries, passages, 20), queries, passages)


@pytest.mark.ray
def test_errors(ray_session):
    vectors = np.ones((9, 4), dtype=np.float32)
    with pytest.raises(EvaluationError, match="num_shards is 0"):
        sharded_search(vectors, vectors, 2, num_shards=0)
    with pytest.raises(EvaluationError, match="dimension 4 and passage_vectors 5"):
        sharded_search(vectors, np.ones((3, 5), dtype=np.float32), 2, num_shards=2)
    with pytest.raises(EvaluationError, match="passage_vectors row 7 holds NaN"):
        sharded_search(vectors, np.where(np.arange(9)[:, None] == 7, np.nan, vectors), 2, num_shards=2)
    with pytest.raises(EvaluationError, match="top_k = 0"):
        sharded_search(vectors, vectors, 0, num_shards=2)
    with pytest.raises(EvaluationError, match="of 0 passages"):
        sharded_search(vectors, vectors[:0], 1, num_shards=2)
    with pytest.raises(ClusterError, match="sharded search needs 5 CPU on one node"):
        sharded_search(vectors, vectors, 2, num_shards=2, num_cpus=5)
