import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.ann import KINDS, ann_search
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


@pytest.mark.parametrize("kind", KINDS)
def test_the_recall_that_is_told_is_the_recall_that_was_found(vectors, kind):
    queries, passages = vectors
    found, report = ann_search(queries, passages, 10, kind, sample=150)
    exact = search(queries, passages, 10)
    hits = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.ids.tolist(), exact.ids.tolist(), strict=True)])
    assert report.recall == pytest.approx(hits, abs=1e-3)
    assert report.recall > 0.95
    assert (report.kind, report.num_sampled, report.num_exact) == (kind, 150, 0)
    assert min(report.build_s, report.search_s) > 0
    dots = np.einsum("qd,qkd->qk", queries, passages[found.ids])
    np.testing.assert_allclose(found.scores, dots, atol=1e-5)
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_a_worse_index_tells_a_lower_recall(vectors):
    recalls = [ann_search(*vectors, 10, "ivf", nlist=64, nprobe=n)[1].recall for n in (1, 4, 64)]
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[2] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_result(vectors, kind):
    first, second = (ann_search(*vectors, 10, kind, seed=3, sample=20) for _ in range(2))
    np.testing.assert_array_equal(first[0].ids, second[0].ids)
    np.testing.assert_array_equal(first[0].scores, second[0].scores)
    assert first[1].recall == second[1].recall
    assert first[1].params == second[1].params


def test_rows_that_an_index_cannot_fill_are_searched_exactly():
    queries, passages = clustered(300, 40)
    found, report = ann_search(queries, passages, 40, "ivf", nlist=50, nprobe=1)
    assert (found.ids >= 0).all()
    assert report.num_exact == 40
    assert report.recall == 1
    np.testing.assert_array_equal(found.ids, search(queries, passages, 40).ids)
    found, report = ann_search(queries, passages, 12, "ivf", nlist=20, nprobe=1)
    assert 0 < report.num_exact < 40
    assert (found.ids >= 0).all()
    assert ann_search(queries, passages, 999, "hnsw")[0].ids.shape == (40, 300)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_passages_count_as_found_and_the_lower_row_comes_first(kind):
    queries, passages = clustered(200, 30)
    found, report = ann_search(queries, np.tile(passages, (4, 1)), 4, kind)
    assert report.recall > 0.9
    level = np.diff(found.scores, axis=1) == 0
    assert level.any()
    assert (np.diff(found.ids, axis=1)[level] > 0).all()


def test_few_passages():
    one = np.ones((1, 3), dtype=np.float32)
    for kind in KINDS:
        found, report = ann_search(one, one, 5, kind)
        assert found.ids.tolist() == [[0]]
        assert report.recall == 1


def test_errors(vectors):
    queries, passages = vectors
    for match, kind, params in (
        ("kind is 'lsh'; allowed are ivf, hnsw", "lsh", {}),
        ("ivf has no parameter 'm'; it has nlist, nprobe", "ivf", {"m": 8}),
        ("nprobe is 0; it must be an integer of 1 or more", "ivf", {"nprobe": 0}),
        ("m is 3.5; it must be an integer", "hnsw", {"m": 3.5}),
        ("nprobe is 9; here it must be 1 to 8", "ivf", {"nlist": 8, "nprobe": 9}),
        ("nlist is 4001; here it must be 1 to 4000", "ivf", {"nlist": 4001}),
        ("ef_search is 9; here it must be 10 or more", "hnsw", {"ef_search": 9}),
        ("m is 1; here it must be 2 or more", "hnsw", {"m": 1}),
    ):
        with pytest.raises(EvaluationError, match=match):
            ann_search(queries, passages, 10, kind, **params)
    with pytest.raises(EvaluationError, match="top_k = 0"):
        ann_search(queries, passages, 0, "ivf")
    with pytest.raises(EvaluationError, match="0 queries"):
        ann_search(queries[:0], passages, 3, "ivf")
