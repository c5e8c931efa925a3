import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbt_ray.batches.iterator import (
    BLOCK_ROWS,
    MAX_BLOCKS,
    MAX_CHUNK_STEPS,
    BatchSource,
    ChunkReader,
    chunk_steps,
    received_slices,
)
from hbt_ray.config import PlanConfig
from tests.batches.compare import assert_same, local_slices

NUM_STEPS = 23


@pytest.fixture(scope="module")
def source(written):
    return BatchSource(written.corpus.directory, PlanConfig(batch_size=12), seed=2, num_steps=NUM_STEPS)


@given(st.integers(0, 10_000_000), st.integers(1, 512), st.integers(2, 65_536))
def test_blocks_are_worth_a_task_and_not_too_many(num_steps, world_size, batch_size):
    chunk = chunk_steps(num_steps, world_size, batch_size)
    assert chunk >= 1
    assert -(-num_steps // chunk) * world_size <= MAX_BLOCKS + world_size
    if num_steps * world_size <= MAX_BLOCKS:
        assert chunk <= MAX_CHUNK_STEPS
        assert chunk == 1 or chunk * batch_size <= BLOCK_ROWS * world_size


def blocks(source, start, chunk, rank, world_size):
    """What the tasks of a rank's data set make, in its order."""
    reader = pickle.loads(pickle.dumps(ChunkReader(source, start, chunk, rank, world_size)))
    assert reader.num_blocks == -(-(source.num_steps - start) // chunk)
    return [reader.read(number) for number in range(reader.num_blocks)]


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize(("start", "chunk"), [(0, 1), (0, 8), (5, 4), (NUM_STEPS - 1, 7)])
def test_blocks_of_a_rank_are_its_slices_in_order(source, world_size, start, chunk):
    for rank in range(world_size):
        tables = blocks(source, start, chunk, rank, world_size)
        received = list(received_slices(tables, start=start, rank=rank))
        expected = list(local_slices(source, start=start, rank=rank, world_size=world_size))
        assert [part.step for part in received] == list(range(start, NUM_STEPS))
        for mine, own in zip(received, expected, strict=True):
            assert_same(mine, own)


def test_slices_of_another_rank_or_out_of_order_are_refused(source):
    tables = blocks(source, 0, 4, 0, 2)
    with pytest.raises(AssertionError, match="rank 0 expected step 0, got step 0 of rank 1"):
        list(received_slices(blocks(source, 0, 4, 1, 2), start=0, rank=0))
    with pytest.raises(AssertionError, match="rank 0 expected step 0, got step 4 of rank 0"):
        list(received_slices(tables[1:], start=0, rank=0))
    with pytest.raises(AssertionError, match="expected step 4, got step 8"):
        list(received_slices([tables[0], tables[2]], start=0, rank=0))


def test_a_process_opens_a_source_once(source):
    equal = dataclasses.replace(source, plan=PlanConfig(batch_size=12, source_weights={"a": 1.0}))
    again = dataclasses.replace(source, plan=PlanConfig(batch_size=12, source_weights={"a": 1.0}))
    assert equal == again
    assert hash(equal) == hash(again)
    assert equal.open()[0] is again.open()[0]
    assert equal.open()[0] is not source.open()[0]
