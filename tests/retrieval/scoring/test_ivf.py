import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.ivf import ivf_search
from hbt_ray.retrieval.scoring.search import search


def clustered(num_passages, num_queries, dim=32, num_clusters=60, seed=0):
    """Unit vectors around cluster centres; queries are passages with noise."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((num_clusters, dim))
    passages = centres[rng.integers(0, num_clusters, num_passages)] + 0.6 * rng.standard_normal((num_passages, dim))
    queries = passages[rng.integers(0, num_passages, num_queries)] + 0.3 * rng.standard_normal((num_queries, dim))
    return tuple((v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in (queries, passages))


@pytest.fixture(scope="module")
def vectors():
    return clustered(4000, 150)


def test_the_recall_that_is_told_is_the_recall_that_was_found(vectors):
    queries, passages = vectors
    top, report = ivf_search(queries, passages, 10, sample=150)
    exact = search(queries, passages, 10)
    hits = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(top.ids.tolist(), exact.ids.tolist(), strict=True)])
    assert report.recall == pytest.approx(hits, abs=1e-3)
    assert report.recall > 0.95
    dots = np.einsum("qd,qkd->qk", queries, passages[top.ids])
    np.testing.assert_allclose(top.scores, dots, atol=1e-5)
    assert (np.diff(top.scores, axis=1) <= 0).all()


def test_a_worse_index_tells_a_lower_recall(vectors):
    recalls = [ivf_search(*vectors, 10, nlist=64, nprobe=n)[1].recall for n in (1, 4, 64)]
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[2] == 1


def test_the_same_seed_gives_the_same_result(vectors):
    first, second = (ivf_search(*vectors, 10, seed=3, sample=20) for _ in range(2))
    np.testing.assert_array_equal(first[0].ids, second[0].ids)
    np.testing.assert_array_equal(first[0].scores, second[0].scores)
    assert first[1] == second[1]


def test_rows_that_an_index_cannot_fill_are_searched_exactly():
    queries, passages = clustered(300, 40)
    top, report = ivf_search(queries, passages, 40, nlist=50, nprobe=1)
    assert (top.ids >= 0).all()
    assert report.recall == 1
    np.testing.assert_array_equal(top.ids, search(queries, passages, 40).ids)
    top, report = ivf_search(queries, passages, 12, nlist=20, nprobe=1)
    assert (top.ids >= 0).all()
    assert ivf_search(queries, passages, 999)[0].ids.shape == (40, 300)


def test_equal_passages_count_as_found_and_the_lower_row_comes_first():
    queries, passages = clustered(200, 30)
    top, report = ivf_search(queries, np.tile(passages, (4, 1)), 4)
    assert report.recall > 0.9
    level = np.diff(top.scores, axis=1) == 0
    assert level.any()
    assert (np.diff(top.ids, axis=1)[level] > 0).all()


def test_few_passages():
    one = np.ones((1, 3), dtype=np.float32)
    top, report = ivf_search(one, one, 5)
    assert top.ids.tolist() == [[0]]
    assert report.recall == 1


def test_errors(vectors):
    queries, passages = vectors
    for match, params in (
        ("nprobe is -1; here it must be 1 to", {"nprobe": -1}),
        ("nprobe is 9; here it must be 1 to 8", {"nlist": 8, "nprobe": 9}),
        ("nlist is 4001; here it must be 1 to 4000", {"nlist": 4001}),
    ):
        with pytest.raises(EvaluationError, match=match):
            ivf_search(queries, passages, 10, **params)
    with pytest.raises(EvaluationError, match="top_k = 0"):
        ivf_search(queries, passages, 0)
    with pytest.raises(EvaluationError, match="0 queries"):
        ivf_search(queries[:0], passages, 3)
