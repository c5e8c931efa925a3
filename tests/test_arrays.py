import numpy as np
import pytest

from hbt_ray.arrays import index_array, vector_array, vector_pair
from hbt_ray.errors import EvaluationError


def test_indices_become_int64():
    array = index_array("field", np.array([0, 2], dtype=np.int8), 2, 3)
    assert array.dtype == np.int64
    assert index_array("field", [], 0, 3).dtype == np.int64


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 3], r"field\[1\] is 3, but must be from 0 to 2"),
        ([0, -1], r"field\[1\] is -1"),
        ([0.0, 1.0], "dtype float64"),
        ([0], r"shape \(1,\)"),
        ([[0], [1]], r"shape \(2, 1\)"),
    ],
)
def test_bad_indices_are_named(values, message):
    with pytest.raises(EvaluationError, match=message):
        index_array("field", values, 2, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_vectors_are_named(bad):
    vectors = np.ones((4, 3), dtype=np.float32)
    vectors[2, 1] = bad
    with pytest.raises(EvaluationError, match="query_vectors row 2 holds NaN or infinite"):
        vector_array("query_vectors", vectors)


def test_opposite_infinities_do_not_cancel():
    with pytest.raises(EvaluationError, match="row 0"):
        vector_array("query_vectors", np.array([[np.inf, -np.inf]], dtype=np.float32))


def test_wrong_shapes_and_types():
    good = np.ones((4, 3))
    assert vector_array("v", good.T).flags.c_contiguous
    with pytest.raises(EvaluationError, match="5 rows"):
        vector_array("v", good, 5)
    with pytest.raises(EvaluationError, match="dtype int64"):
        vector_array("v", good.astype(np.int64))
    with pytest.raises(EvaluationError, match="dimension 3 and passage_vectors 2"):
        vector_pair(good, good[:, :2])


def test_products_that_float32_cannot_hold():
    large, small = np.full((2, 3), 1e19), np.full((2, 3), -1e19)
    vector_pair(large, small)  # 3e38, which it can
    with pytest.raises(EvaluationError, match=r"query_vectors reach 1e\+19 and passage_vectors 2e\+19.*overflow"):
        vector_pair(large, 2 * small)
    vector_pair(large, small[:0])
