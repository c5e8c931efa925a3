"""Long-form rows in JSON lines, plain or compressed with gzip; a file is one unit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from fsspec import AbstractFileSystem

from hbt_ray.corpus.readers import units
from hbt_ray.corpus.readers.units import NAMES, Columns, Unit, check_columns, file_columns, take_columns
from hbt_ray.errors import CorpusError
from hbt_ray.reading.columns import TEXTS, list_of, text_of
from hbt_ray.reading.lines import json_lines
from hbt_ray.storage import url_of


def jsonl_units(fs: AbstractFileSystem, path: str, mapping: Columns) -> list[Unit] | str:
    """The one unit of a file, or why it is no part of the corpus; the first row names the columns."""
    url = url_of(fs, path)
    first = next(json_lines(url), None)
    if first is None or not first[1]:
        return "is empty"
    columns = check_columns(path, list(first[1]), mapping=mapping)
    if isinstance(columns, str):
        return columns
    taken = {entry.partition("=")[0] for entry in columns}
    rest = tuple(name for name in NAMES if name not in taken)  # later rows may have them
    return [Unit("jsonl", url, 0, -1, (*columns, *rest))]


def read_jsonl(unit: Unit) -> Iterator[pa.Table]:
    """Tables of at most `BATCH_ROWS` rows."""
    names = {entry.partition("=")[2] or entry: entry.partition("=")[0] for entry in unit.columns}
    types = {column: TEXTS if names[column] == "negatives" else pa.string() for column in file_columns(unit.columns)}
    rows = (_row(f"{unit.path} line {number}", row, types) for number, row in json_lines(unit.path))
    first = 0
    while batch := list(itertools.islice(rows, units.BATCH_ROWS)):
        arrays = {name: pa.array([row[name] for row in batch], kind) for name, kind in types.items()}
        yield take_columns(arrays, unit, first, len(batch))
        first += len(batch)


def _row(where: str, row: Mapping[str, Any], types: Mapping[str, pa.DataType]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for column, kind in types.items():
        value = row.get(column)
        if kind != TEXTS and isinstance(value, list | dict):
            raise CorpusError(f"{where}: {column} is a {type(value).__name__}; a string is needed")
        try:
            cells[column] = list_of(value) if kind == TEXTS else text_of(value)
        except ValueError as error:
            raise CorpusError(f"{where}: {column} {error}") from None
    return cells
