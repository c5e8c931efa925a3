"""Long-form rows in CSV and TSV with a header line, plain or compressed with gzip; a file is one unit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pyarrow as pa
from fsspec import AbstractFileSystem

from hbt_ray.corpus.readers import units
from hbt_ray.corpus.readers.units import Columns, Unit, check_columns, file_columns, take_columns
from hbt_ray.reading.lines import csv_rows
from hbt_ray.storage import url_of


def csv_units(fs: AbstractFileSystem, path: str, mapping: Columns) -> list[Unit] | str:
    """The one unit of a file, or why it is no part of the corpus."""
    url = url_of(fs, path)
    header = next(csv_rows(url), None)
    if header is None:
        return "is empty"
    columns = check_columns(path, header[1], mapping=mapping)
    return columns if isinstance(columns, str) else [Unit("csv", url, 0, -1, columns)]


def read_csv(unit: Unit) -> Iterator[pa.Table]:
    """Tables of at most `BATCH_ROWS` rows; every cell is text."""
    rows = (row for _, row in csv_rows(unit.path))
    header = next(rows)
    places = {column: header.index(column) for column in file_columns(unit.columns)}
    first = 0
    while batch := list(itertools.islice(rows, units.BATCH_ROWS)):
        arrays = {column: pa.array([row[at] for row in batch], pa.string()) for column, at in places.items()}
        yield take_columns(arrays, unit, first, len(batch))
        first += len(batch)
