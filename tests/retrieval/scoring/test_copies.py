import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hbt_ray.retrieval.scoring import copies as copies_module
from hbt_ray.retrieval.scoring.copies import find_copies


def by_dictionary(vectors):
    """(later, first) from a dictionary of the bytes of each row."""
    seen, pairs = {}, []
    for row, vector in enumerate(vectors):
        first = seen.setdefault(vector.tobytes(), row)
        if first != row:
            pairs.append((row, first))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 5), st.integers(1, 9))
def test_against_a_dictionary(seed, num_rows, dim, block):
    vectors = np.random.default_rng(seed).integers(1, 3, (num_rows, dim)).astype(np.float32)
    rows, copies_module.BLOCK_ROWS = copies_module.BLOCK_ROWS, block
    try:
        found = find_copies(vectors)
    finally:
        copies_module.BLOCK_ROWS = rows
    np.testing.assert_array_equal(found, by_dictionary(vectors))
    scores = np.random.default_rng(seed).random((4, num_rows)).astype(np.float32)
    levelled = scores.copy()
    found.level(levelled)
    columns = np.arange(num_rows)
    columns[found.later] = found.first
    np.testing.assert_array_equal(levelled, scores[:, columns])


def test_a_hash_that_lies_is_seen_through(monkeypatch):
    vectors = np.ones((6, 4), dtype=np.float32)
    vectors[3:, 3] = [2, 3, 2]
    monkeypatch.setattr(copies_module, "hashed", lambda words: np.zeros(len(words), dtype=np.uint64))
    found = find_copies(vectors)
    assert found.later.tolist() == [1, 2]  # at the worst a copy is missed, never one made up
    assert found.first.tolist() == [0, 0]
