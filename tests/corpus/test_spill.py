import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.corpus import grouping, spill
from hbt_ray.corpus.grouping import count_partitions, partition_of
from hbt_ray.corpus.shards import text_hash
from hbt_ray.corpus.spill import SpillWriter, has_partition, read_partition

SCHEMA = pa.schema({"id": pa.string(), "number": pa.int64()})
files = st.lists(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=4), min_size=1, max_size=3)


@given(files, st.sampled_from([1, 40, 1 << 20]))
@settings(max_examples=40, deadline=None)
def test_a_partition_has_its_rows_of_all_files_in_order(tmp_path_factory, tables, run_bytes):
    directory = tmp_path_factory.mktemp("spill")
    number, expected, locations = 0, {part: [] for part in range(4)}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "RUN_BYTES", run_bytes)
        for file, batches in enumerate(tables):
            locations.append(f"{directory}/{file}.arrow")
            with SpillWriter(locations[-1], SCHEMA) as writer:
                for parts in batches:
                    rows = [{"id": f"é{number + at}", "number": number + at} for at in range(len(parts))]
                    writer.add(pa.Table.from_pylist(rows, schema=SCHEMA), np.array(parts, np.int64))
                    for row, part in zip(rows, parts, strict=True):
                        expected[part].append(row)
                    number += len(parts)
    for part, rows in expected.items():
        assert has_partition(locations, part) == bool(rows)
        if rows:
            assert read_partition(locations, part).to_pylist() == rows


def test_a_writer_that_fails_leaves_no_index(tmp_path):
    with pytest.raises(RuntimeError, match="broken"), SpillWriter(f"{tmp_path}/a.arrow", SCHEMA):
        raise RuntimeError("broken")
    assert not (tmp_path / "a.arrow.npy").exists()


def test_the_partition_of_an_id_is_its_hash():
    ids = pa.chunked_array([["a", "b"], ["a", "c"]])
    assert partition_of(ids, 7).tolist() == [text_hash(name) % 7 for name in ("a", "b", "a", "c")]


def test_partitions_are_of_packed_and_of_unpacked_bytes():
    size = grouping.PARTITION_BYTES
    assert count_partitions(0) == grouping.MIN_PARTITIONS
    assert count_partitions(10 * size) == count_partitions(10 * size, 40 * size) == 10
    assert count_partitions(10 * size + 1) == 11
    assert count_partitions(10 * size, 44 * size) == 11
    assert count_partitions(10**6 * size) == grouping.MAX_PARTITIONS
