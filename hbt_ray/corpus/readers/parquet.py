"""Long-form rows in Parquet: a unit is a run of row groups."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from hbt_ray.corpus.readers import units
from hbt_ray.corpus.readers.units import Columns, Unit, check_columns, file_columns, take_columns
from hbt_ray.errors import CorpusError, one_line
from hbt_ray.storage import open_fs, unreadable, url_of


def parquet_units(fs: AbstractFileSystem, path: str, mapping: Columns) -> list[Unit] | str:
    """The units of a file, or why it is no part of the corpus; `start` and `stop` count row groups."""
    try:
        with fs.open(path) as file:
            metadata = pq.ParquetFile(file).metadata
            schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(f"{path}: not a whole Parquet file ({one_line(error)})") from None
    columns = check_columns(path, schema.names, schema, mapping)
    if isinstance(columns, str):
        return columns
    runs: list[Unit] = []
    start, rows, size = 0, 0, 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        size += metadata.row_group(group).total_byte_size
        if rows >= units.ROWS_A_UNIT or group == metadata.num_row_groups - 1:
            runs.append(Unit("parquet", url_of(fs, path), start, group + 1, columns, size))
            start, rows, size = group + 1, 0, 0
    return runs if metadata.num_rows else []


def read_parquet(unit: Unit) -> Iterator[pa.Table]:
    """Tables of at most `BATCH_ROWS` rows."""
    fs, path = open_fs(unit.path)
    try:
        with fs.open(path) as file:
            reader = pq.ParquetFile(file)
            row = sum(reader.metadata.row_group(group).num_rows for group in range(unit.start))
            groups = range(unit.start, unit.stop)
            for batch in reader.iter_batches(units.BATCH_ROWS, row_groups=groups, columns=file_columns(unit.columns)):
                yield take_columns(pa.Table.from_batches([batch]), unit, row, batch.num_rows)
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise unreadable(unit.path, error, "cannot be read") from None
