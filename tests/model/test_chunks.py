import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbt_ray.model.chunks import cut_rows, pad_ragged

rows_of_tokens = st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=9), max_size=12)


@given(rows_of_tokens, st.integers(0, 4))
def test_pad_ragged_equals_a_loop(rows, pad_id):
    values = np.array([token for row in rows for token in row], dtype=np.int32)
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    ids, mask = pad_ragged(values, lengths, pad_id)
    width = max(map(len, rows), default=0)
    assert ids.shape == mask.shape == (len(rows), width)
    assert (ids.dtype, mask.dtype) == (np.int32, np.int64)
    assert ids.tolist() == [row + [pad_id] * (width - len(row)) for row in rows]
    assert mask.tolist() == [[1] * len(row) + [0] * (width - len(row)) for row in rows]


def test_pad_ragged_refuses_lengths_that_do_not_add_up():
    with pytest.raises(ValueError, match="cannot assign 4 input values to the 3 output values"):
        pad_ragged(np.arange(4), np.array([1, 2]), 0)


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200))
def test_chunks_name_each_row_once_and_keep_the_budget(lengths, budget):
    lengths = np.array(lengths, dtype=np.int32)
    chunks = cut_rows(lengths, budget, packed=False)
    assert sorted(index for chunk in chunks for index in chunk) == list(range(len(lengths)))
    for chunk in chunks:
        assert len(chunk) == 1 or len(chunk) * lengths[chunk].max() <= budget
    # Sorted by length: every chunk is at least as long as the next, so a chunk cannot be far from full.
    longest = [lengths[chunk].max() for chunk in chunks]
    assert longest == sorted(longest, reverse=True)


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="token_budget is 0"):
        cut_rows(np.array([4, 2]), 0, packed=False)
