import io

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.batches.slices import Slice, from_table, to_table
from tests.batches.compare import assert_same


def random_slice(rng, num_rows, num_negatives=0):
    query, passage = (rng.integers(0, 6, num_rows).astype(np.int32) for _ in range(2))
    negative = rng.integers(0, 3, num_rows * num_negatives).astype(np.int32)
    return Slice(
        step=int(rng.integers(10**12)),
        rank=int(rng.integers(100)),
        monolingual=bool(rng.integers(2)),
        items=rng.integers(0, 2**62, num_rows),
        weights=rng.random(num_rows).astype(np.float32),
        query_langs=rng.integers(0, 112, num_rows).astype(np.int16),
        passage_langs=rng.integers(0, 112, num_rows).astype(np.int16),
        query_values=rng.integers(0, 250_000, query.sum()).astype(np.int32),
        query_lengths=query,
        passage_values=rng.integers(0, 250_000, passage.sum()).astype(np.int32),
        passage_lengths=passage,
        passage_hashes=rng.integers(-(2**63), 2**63 - 1, num_rows),
        groups=rng.integers(-(2**63), 2**63 - 1, num_rows),
        negative_values=rng.integers(0, 250_000, negative.sum()).astype(np.int32),
        negative_lengths=negative,
        negative_hashes=rng.integers(-(2**63), 2**63 - 1, len(negative)),
        negative_groups=rng.integers(-(2**63), 2**63 - 1, len(negative)),
    )


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 2), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_round_trip_through_tables_their_parts_and_files(sizes, num_negatives, seed):
    rng = np.random.default_rng(seed)
    slices = [random_slice(rng, size, num_negatives) for size in sizes]
    table = to_table(slices)
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    pieces = pa.concat_tables([to_table([part]) for part in slices])
    for received in (table, pieces, pa.ipc.open_stream(buffer.getvalue()).read_all()):
        for before, after in zip(slices, from_table(received), strict=True):
            assert_same(before, after)
            assert len(after) == len(before.items)
    for before, after in zip(slices[1:], from_table(table.slice(1)), strict=True):
        assert_same(before, after)


def test_a_table_of_no_rows_has_no_slices():
    assert list(from_table(to_table([random_slice(np.random.default_rng(0), 3)]).slice(0, 0))) == []
