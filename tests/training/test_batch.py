import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.model.chunks import PackedChunk
from hbt_ray.training.batch import collate
from tests.batches.test_slices import random_slice

PAD = 1


def rows_of(values, lengths):
    return [row.tolist() for row in np.split(values, np.cumsum(lengths)[:-1])]


def with_tokens(rng, num_rows, num_negatives=0):
    """A slice whose texts have a token each at the least, as special tokens make sure; negatives may be missing."""
    part = random_slice(rng, num_rows, num_negatives)
    part = dataclasses.replace(part, negative_values=rng.integers(4, 99, len(part.negative_values)).astype(np.int32))
    texts = {}
    for role in ("query", "passage"):
        lengths = rng.integers(1, 9, num_rows).astype(np.int32)
        texts |= {f"{role}_lengths": lengths, f"{role}_values": rng.integers(4, 99, lengths.sum()).astype(np.int32)}
    return dataclasses.replace(part, **texts)


@given(st.integers(1, 20), st.integers(0, 2), st.integers(1, 40), st.integers(0, 2**32), st.booleans())
@settings(max_examples=120, deadline=None)
def test_chunks_hold_every_text_once_with_its_tokens(num_rows, num_negatives, token_budget, seed, packed):
    part = with_tokens(np.random.default_rng(seed), num_rows, num_negatives)
    batch = collate(part, pad_id=PAD, token_budget=token_budget, packed=packed)
    assert len(batch) == num_rows
    texts = rows_of(part.query_values, part.query_lengths) + rows_of(part.passage_values, part.passage_lengths)
    if len(part.negative_values):
        texts += [text for text in rows_of(part.negative_values, part.negative_lengths) if text]
    assert batch.num_texts == len(texts)
    assert (batch.negatives is None) == (num_negatives == 0)
    if batch.negatives is not None:
        assert batch.negatives.present.flatten().tolist() == (part.negative_lengths > 0).tolist()
        assert batch.negatives.places.tolist() == np.flatnonzero(part.negative_lengths).tolist()
        assert batch.negatives.hashes.flatten().tolist() == part.negative_hashes.tolist()
        assert batch.negatives.groups.flatten().tolist() == part.negative_groups.tolist()
    found = {}
    for chunk in batch.chunks:
        assert chunk.num_padded <= token_budget or len(chunk.rows) == 1
        for row, ids in zip(chunk.rows.tolist(), tokens_of(chunk), strict=True):
            assert row not in found
            found[row] = ids
    assert found == dict(enumerate(texts))
    assert batch.num_tokens == sum(map(len, texts))
    assert batch.num_padded >= batch.num_tokens
    if packed:
        assert batch.num_padded == batch.num_tokens
    assert (batch.step, batch.monolingual) == (part.step, part.monolingual)
    dtypes = {"items": torch.int64, "passage_hashes": torch.int64, "groups": torch.int64, "weights": torch.float32}
    for name, dtype in dtypes.items():
        assert getattr(batch, name).dtype == dtype
        np.testing.assert_array_equal(getattr(batch, name).numpy(), getattr(part, name))


def tokens_of(chunk):
    """The token ids of a chunk's texts, from what the model is given."""
    if isinstance(chunk, PackedChunk):
        starts = (chunk.positions == 0).nonzero().flatten().tolist()
        texts = np.split(chunk.input_ids.numpy(), starts[1:])
        assert [len(text) for text in texts] == torch.bincount(chunk.text_of).tolist()
        assert [length for num, length in chunk.blocks for _ in range(num)] == [len(text) for text in texts]
        return [text.tolist() for text in texts]
    out = []
    for ids, mask in zip(chunk.input_ids, chunk.attention_mask, strict=True):
        num = int(mask.sum())
        assert mask.tolist() == [1] * num + [0] * (len(mask) - num)
        assert ids[num:].tolist() == [PAD] * (len(ids) - num)
        out.append(ids[:num].tolist())
    return out


@pytest.mark.parametrize(("num_rows", "most"), [(128, 0.06), (512, 0.03)])
def test_real_lengths_waste_little_padding(real_data, num_rows, most):
    """English part of the real corpus, 32/256 tokens of four characters: padded chunks of 256 tokens; packed, none."""
    table = pq.read_table(real_data / "train_parallel_qa" / "en.parquet", columns=["question", "passage"])
    rows = np.random.default_rng(0).choice(table.num_rows, num_rows, replace=False)
    texts = table.take(pa.array(rows))
    query_lengths = np.array([min(32, 2 + len(text) // 4) for text in texts["question"].to_pylist()], np.int32)
    passage_lengths = np.array([min(256, 2 + len(text) // 4) for text in texts["passage"].to_pylist()], np.int32)
    part = random_slice(np.random.default_rng(0), num_rows)
    part = dataclasses.replace(
        part,
        query_lengths=query_lengths,
        query_values=np.ones(query_lengths.sum(), np.int32),
        passage_lengths=passage_lengths,
        passage_values=np.ones(passage_lengths.sum(), np.int32),
    )
    padded = collate(part, pad_id=PAD, token_budget=256)
    assert 1 - padded.num_tokens / padded.num_padded <= most
    packed = collate(part, pad_id=PAD, token_budget=2048, packed=True)
    assert packed.num_padded == packed.num_tokens
    sizes = [chunk.num_padded for chunk in packed.chunks]
    assert max(sizes) <= 2048
    assert len(sizes) <= -(-sum(sizes) // 2048) + 1


def test_a_large_slice_wastes_little_padding():
    rng = np.random.default_rng(0)
    part = random_slice(rng, 400)
    lengths = rng.integers(5, 200, 400).astype(np.int32)
    values = rng.integers(5, 100, lengths.sum()).astype(np.int32)
    part = type(part)(**{**vars(part), "passage_values": values, "passage_lengths": lengths})
    batch = collate(part, pad_id=PAD, token_budget=2048)
    assert 1 - batch.num_tokens / batch.num_padded < 0.1


def test_moving_a_batch_keeps_it_and_leaves_the_slice_alone():
    part = random_slice(np.random.default_rng(1), 6, 2)
    part.items.flags.writeable = False  # as Arrow gives it
    batch = collate(part, pad_id=PAD, token_budget=30)
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.items, batch.items)
    assert [chunk.rows.tolist() for chunk in moved.chunks] == [chunk.rows.tolist() for chunk in batch.chunks]
    assert torch.equal(moved.negatives.present, batch.negatives.present)
    moved.items[0] += 1
    assert part.items[0] == moved.items[0] - 1
