import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.training.batch import collate
from tests.batches.test_slices import random_slice

PAD = 1


def rows_of(values, lengths):
    return [row.tolist() for row in np.split(values, np.cumsum(lengths)[:-1])]


@given(st.integers(1, 20), st.integers(1, 40), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_chunks_hold_every_row_once_with_its_tokens(num_rows, token_budget, seed):
    part = random_slice(np.random.default_rng(seed), num_rows)
    batch = collate(part, pad_id=PAD, token_budget=token_budget)
    assert len(batch) == num_rows
    padded = 0
    for chunks, values, lengths in (
        (batch.queries, part.query_values, part.query_lengths),
        (batch.passages, part.passage_values, part.passage_lengths),
    ):
        expected = rows_of(values, lengths)
        found = {}
        for chunk in chunks:
            assert chunk.input_ids.dtype == chunk.attention_mask.dtype == torch.int64
            assert chunk.input_ids.numel() <= token_budget or len(chunk.rows) == 1
            padded += chunk.input_ids.numel()
            for ids, mask, row in zip(chunk.input_ids, chunk.attention_mask, chunk.rows.tolist(), strict=True):
                num = int(mask.sum())
                assert mask.tolist() == [1] * num + [0] * (len(mask) - num)
                assert ids[num:].tolist() == [PAD] * (len(ids) - num)
                assert row not in found
                found[row] = ids[:num].tolist()
        assert found == dict(enumerate(expected))
    assert batch.num_padded == padded >= batch.num_tokens
    assert batch.num_tokens == len(part.query_values) + len(part.passage_values)
    assert (batch.step, batch.monolingual) == (part.step, part.monolingual)
    for name, dtype in (("items", torch.int64), ("passage_hashes", torch.int64), ("weights", torch.float32)):
        assert getattr(batch, name).dtype == dtype
        np.testing.assert_array_equal(getattr(batch, name).numpy(), getattr(part, name))


def test_a_large_slice_wastes_little_padding():
    rng = np.random.default_rng(0)
    part = random_slice(rng, 400)
    lengths = rng.integers(5, 200, 400).astype(np.int32)
    values = rng.integers(5, 100, lengths.sum()).astype(np.int32)
    part = type(part)(**{**vars(part), "passage_values": values, "passage_lengths": lengths})
    batch = collate(part, pad_id=PAD, token_budget=2048)
    assert 1 - batch.num_tokens / batch.num_padded < 0.1


def test_moving_a_batch_keeps_it_and_leaves_the_slice_alone():
    part = random_slice(np.random.default_rng(1), 6)
    part.items.flags.writeable = False  # as Arrow gives it
    batch = collate(part, pad_id=PAD, token_budget=30)
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.items, batch.items)
    assert [chunk.rows.tolist() for chunk in moved.queries] == [chunk.rows.tolist() for chunk in batch.queries]
    moved.items[0] += 1
    assert part.items[0] == moved.items[0] - 1
