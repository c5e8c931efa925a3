"""All languages of an item to one task, with Ray Data and a bounded memory: rows are spilled to disk by a hash of id.

Ray Data's own `groupby` holds all rows in the memory of its aggregating actors (2.8 GB in one process for a million
items in three languages), so it is not used. Which id goes to which partition depends on the input alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from hbt_ray.corpus.readers.units import Unit
from hbt_ray.corpus.rows import SCHEMA, check_rows
from hbt_ray.corpus.shards import text_hash
from hbt_ray.corpus.spill import SpillWriter, has_partition, read_partition
from hbt_ray.errors import CorpusError
from hbt_ray.storage import open_fs

PARTITION_BYTES = 16 << 20
"""Of an input's files, and a quarter of what they hold unpacked."""
PACKED = 4
MIN_PARTITIONS, MAX_PARTITIONS = 4, 8192
UNIT_FIELDS = tuple(field.name for field in dataclasses.fields(Unit))

Load = Callable[[], pa.Table]
"""Reads the rows of a partition."""
Count = Callable[[int, int], None]
"""Receives how many of how many tasks are done."""


def count_partitions(num_bytes: int, unpacked_bytes: int = 0) -> int:
    """Partitions of an input with `num_bytes` in its files, and `unpacked_bytes` in them as far as is known."""
    size = max(num_bytes, unpacked_bytes // PACKED)
    return int(np.clip(-(-size // PARTITION_BYTES), MIN_PARTITIONS, MAX_PARTITIONS))


@contextmanager
def spilled(
    units: Sequence[Unit], langs: Sequence[str], num_partitions: int, directory: str, columns: Sequence[str] = ()
) -> Iterator[list[str]]:
    """Read and check all rows and spill them below `directory`, which is removed in the end.

    Args:
        units: of the input.
        langs: canonical codes to keep; empty keeps all.
        num_partitions: into which ids are spread.
        directory: that all nodes share.
        columns: of `hbt_ray.corpus.rows.SCHEMA` that are needed; empty is all.

    Yields:
        The files of spilled rows, for `map_partitions`.
    """
    fs, path = open_fs(directory)
    fs.makedirs(path, exist_ok=True)
    try:
        wanted = tuple(columns or SCHEMA.names)
        rows = [{"number": number, **dataclasses.asdict(unit)} for number, unit in enumerate(units)]
        done = run_tasks(rows, _spill, (directory, tuple(langs), num_partitions, wanted))
        yield sorted(row["file"] for row in done)
    finally:
        fs.rm(path, recursive=True)


def map_partitions(
    files: Sequence[str],
    num_partitions: int,
    work: Callable[..., pa.Table],
    args: tuple[Any, ...],
    count: Count = lambda done, total: None,
    **resources: Any,
) -> list[dict[str, Any]]:
    """`work(load, partition, *args)` for every partition that has rows; returns their small tables as rows, in order.

    `load()` reads the rows, which then are `work`'s alone: it can let go of them.

    Args:
        files: of `spilled`.
        num_partitions: as they were spilled.
        work: what is done with the rows of a partition.
        args: of `work`.
        count: receives progress.
        resources: of a task, as `ray.data.Dataset.map_batches` takes them.
    """
    rows = [{"partition": part} for part in range(num_partitions)]
    done = run_tasks(rows, _work, (tuple(files), work, args), count, **resources)
    return sorted(done, key=lambda row: int(row["partition"]))


def run_tasks(
    rows: list[dict[str, Any]],
    task: Callable[..., Iterator[pa.Table]],
    args: tuple[Any, ...],
    count: Count = lambda done, total: None,
    **resources: Any,
) -> list[dict[str, Any]]:
    """The rows that `task` makes of each of `rows`, which it gets as a batch of one; as many at once as fit."""
    import ray

    from hbt_ray.cluster import quiet_data_context, unwrapped

    quiet_data_context()
    tasks = ray.data.from_items(rows, override_num_blocks=len(rows))
    done: list[dict[str, Any]] = []
    with unwrapped():
        for row in tasks.map_batches(task, batch_size=1, fn_args=args, **resources).iter_rows():
            done.append(row)
            count(len(done), len(rows))
    return done


def _spill(
    batch: dict[str, Any], directory: str, langs: tuple[str, ...], num_partitions: int, columns: tuple[str, ...]
) -> Iterator[pa.Table]:
    """Read one unit, check its rows and spill them by partition."""
    named = zip(*(batch[name].tolist() for name in ("number", *UNIT_FIELDS)), strict=True)
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    for number, kind, path, start, stop, names, _ in named:
        location = f"{directory}/{number:06d}.arrow"
        with SpillWriter(location, schema) as writer:
            for table in _read(Unit(kind, path, start, stop, tuple(names))):
                try:
                    table = check_rows(table, langs).select(columns)
                except pa.ArrowException as error:  # bytes that are no UTF-8 in a column of strings or bytes
                    raise CorpusError(f"{path}: a column is not text ({' '.join(str(error).split())[:160]})") from None
                writer.add(table, partition_of(table["id"], num_partitions))
        pa.default_memory_pool().release_unused()
        yield pa.table({"file": [location]})


def _read(unit: Unit) -> Iterator[pa.Table]:
    from hbt_ray.corpus.inputs import read_unit

    return read_unit(unit)


def _work(
    batch: dict[str, Any], files: tuple[str, ...], work: Callable[..., pa.Table], args: tuple[Any, ...]
) -> Iterator[pa.Table]:
    for partition in batch["partition"].tolist():
        if has_partition(files, partition):
            yield work(partial(read_partition, files, partition), partition, *args)
            pa.default_memory_pool().release_unused()  # a worker lives on, and its allocator would keep it all


def partition_of(ids: pa.ChunkedArray, num_partitions: int) -> np.ndarray:
    """int64 [n]: the partition of each id."""
    encoded = ids.combine_chunks().dictionary_encode()
    part = np.array([text_hash(name) % num_partitions for name in encoded.dictionary.to_pylist()], np.int64)
    spread: np.ndarray = part[encoded.indices.to_numpy()]
    return spread
