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
    local_slices,
    received_slices,
)
from hbt_ray.config import PlanConfig
from tests.batches.compare import assert_same

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


def blocks(source, start, chunk, world_size):
    """What the data set's tasks make, in its order: (first chunk, rank 0), (first chunk, rank 1), ..."""
    num = -(-(source.num_steps - start) // chunk) * world_size
    reader = pickle.loads(pickle.dumps(ChunkReader(source, start, chunk, world_size)))
    assert reader.num_blocks == num
    return [reader.read(number) for number in range(num)]


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize(("start", "chunk"), [(0, 1), (0, 8), (5, 4), (NUM_STEPS - 1, 7)])
def test_blocks_dealt_in_turn_are_each_ranks_own_slices_in_order(source, world_size, start, chunk):
    tables = blocks(source, start, chunk, world_size)
    for rank in range(world_size):
        received = list(received_slices(tables[rank::world_size], start=start, rank=rank))
        expected = list(local_slices(source, start=start, rank=rank, world_size=world_size))
        assert [part.step for part in received] == list(range(start, NUM_STEPS))
        for mine, own in zip(received, expected, strict=True):
            assert_same(mine, own)
    sizes = [[table.num_rows for table in tables[rank::world_size]] for rank in range(world_size)]
    assert all(mine == sizes[0] for mine in sizes)  # an equal split drops nothing


def test_a_data_set_that_begins_earlier_is_skipped_up_to_the_start(source):
    received = list(received_slices(blocks(source, 3, 5, 1), start=10, rank=0))
    for mine, own in zip(received, local_slices(source, start=10), strict=True):
        assert_same(mine, own)


def test_slices_of_another_rank_or_out_of_order_are_refused(source):
    tables = blocks(source, 0, 4, 2)
    with pytest.raises(AssertionError, match="rank 0 expected step 0, got step 0 of rank 1"):
        list(received_slices(tables[1::2], start=0, rank=0))
    with pytest.raises(AssertionError, match="rank 0 expected step 0, got step 4 of rank 0"):
        list(received_slices(tables[2::2], start=0, rank=0))
    with pytest.raises(AssertionError, match="expected step 4, got step 8"):
        list(received_slices([tables[0], tables[4]], start=0, rank=0))


def test_a_process_opens_a_source_once(source):
    equal = dataclasses.replace(source, plan=PlanConfig(batch_size=12, source_weights={"a": 1.0}))
    again = dataclasses.replace(source, plan=PlanConfig(batch_size=12, source_weights={"a": 1.0}))
    assert equal == again
    assert hash(equal) == hash(again)
    assert equal.open()[0] is again.open()[0]
    assert equal.open()[0] is not source.open()[0]
