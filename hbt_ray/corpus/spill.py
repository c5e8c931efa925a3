"""Rows on disk by partition: read once in any order, they are then at hand one partition after the other.

A file of spilled rows is an Arrow file whose record batches hold rows of one partition each; beside it lies an array
with the partition of every batch. Who writes holds `RUN_BYTES` of rows, who reads one partition.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from hbt_ray.storage import open_fs, write_whole

RUN_BYTES = 32 << 20
OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


class SpillWriter:
    """Writes one file of spilled rows; used as a context, at whose end the file is there, whole."""

    def __init__(self, location: str, schema: pa.Schema) -> None:
        self._location = location
        fs, path = open_fs(location)
        fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self._part = f"{path}.{secrets.token_hex(4)}.part"  # its own: a task that was given up may still be writing
        self._file: Any = fs.open(self._part, "wb")
        self._writer = pa.ipc.new_file(self._file, schema, options=OPTIONS)
        self._tables: list[pa.Table] = []
        self._parts: list[np.ndarray] = []
        self._batches: list[int] = []
        self._num_bytes = 0

    def __enter__(self) -> SpillWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        self._file.close()
        fs, path = open_fs(self._location)
        if kind is None:
            buffer = io.BytesIO()
            np.save(buffer, np.array(self._batches, np.int32), allow_pickle=False)
            write_whole(index_of(self._location), buffer.getvalue())
            fs.mv(self._part, path)
        else:
            fs.rm_file(self._part)

    def add(self, table: pa.Table, partitions: np.ndarray) -> None:
        """Take rows and the partition of each, int [n]."""
        self._tables.append(table)
        self._parts.append(partitions)
        self._num_bytes += table.nbytes
        if self._num_bytes >= RUN_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not any(table.num_rows for table in self._tables):
            return
        part = np.concatenate(self._parts)
        order = np.argsort(part, kind="stable")
        table = pa.concat_tables(self._tables).take(pa.array(order)).combine_chunks()
        self._tables, self._parts, self._num_bytes = [], [], 0
        numbers, starts = np.unique(part[order], return_index=True)
        for number, start, stop in zip(numbers, starts, [*starts[1:], len(part)], strict=True):
            self._writer.write_table(table.slice(start, stop - start), max_chunksize=stop - start)
            self._batches.append(int(number))


def has_partition(locations: Sequence[str], partition: int) -> bool:
    """Whether there are rows of `partition`."""
    return any(len(_batches_of(location, partition)) for location in locations)


def read_partition(locations: Sequence[str], partition: int) -> pa.Table:
    """The rows of `partition` in all `locations`, in their order; there must be some."""
    batches: list[pa.RecordBatch] = []
    for location in locations:
        numbers = _batches_of(location, partition)
        if len(numbers):
            fs, path = open_fs(location)
            with fs.open(path, "rb") as file:
                reader = pa.ipc.open_file(file)
                batches += [reader.get_batch(int(number)) for number in numbers]
    return pa.Table.from_batches(batches)


def _batches_of(location: str, partition: int) -> np.ndarray:
    fs, path = open_fs(index_of(location))
    parts = np.load(io.BytesIO(fs.cat_file(path)), allow_pickle=False)
    return np.flatnonzero(parts == partition)


def index_of(location: str) -> str:
    """Where the partitions of the batches of a file of spilled rows are."""
    return f"{location}.npy"
