"""Long-form rows in JSON lines, plain or compressed with gzip; a file is one unit."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any

import pyarrow as pa
from fsspec import AbstractFileSystem

from hbt_ray.corpus.readers import units
from hbt_ray.corpus.readers.units import NAMES, Columns, Unit, check_columns, file_columns, take_columns, url_of
from hbt_ray.errors import CorpusError
from hbt_ray.storage import open_fs, unreadable

TEXTS = pa.list_(pa.string())


def jsonl_units(fs: AbstractFileSystem, path: str, mapping: Columns) -> list[Unit] | str:
    """The one unit of a file, or why it is no part of the corpus; the first row names the columns."""
    first = next(_rows(fs, path, {}), None)
    if not first:
        return "is empty"
    columns = check_columns(path, list(first), mapping=mapping)
    if isinstance(columns, str):
        return columns
    taken = {entry.partition("=")[0] for entry in columns}
    rest = tuple(name for name in NAMES if name not in taken)  # later rows may have them
    return [Unit("jsonl", url_of(fs, path), 0, -1, (*columns, *rest))]


def read_jsonl(unit: Unit) -> Iterator[pa.Table]:
    """Tables of at most `BATCH_ROWS` rows."""
    names = {entry.partition("=")[2] or entry: entry.partition("=")[0] for entry in unit.columns}
    types = {column: TEXTS if names[column] == "negatives" else pa.string() for column in file_columns(unit.columns)}
    rows = _rows(*open_fs(unit.path), types)
    first = 0
    while batch := list(itertools.islice(rows, units.BATCH_ROWS)):
        arrays = {name: pa.array([row[name] for row in batch], kind) for name, kind in types.items()}
        yield take_columns(pa.table(arrays), unit, first)
        first += len(batch)


def open_text(fs: AbstractFileSystem, path: str) -> IO[bytes]:
    """A file as it is, or unpacked."""
    raw = fs.open(path, "rb")
    return gzip.open(raw) if path.endswith(".gz") else raw  # type: ignore[return-value]


def _rows(fs: AbstractFileSystem, path: str, types: Mapping[str, pa.DataType]) -> Iterator[dict[str, Any]]:
    """The rows, with all of their columns or with those of `types`: strings (of numbers too), or lists of strings."""
    with open_text(fs, path) as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _row(f"{path} line {number}", line, types)
        except (EOFError, OSError, zlib.error) as error:
            raise unreadable(path, error, "damaged, or cut off in the middle") from None


def _row(where: str, line: bytes, types: Mapping[str, pa.DataType]) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if b"\\ud" in line.lower():
            json.dumps(row, ensure_ascii=False).encode()  # fails on half of a surrogate pair, which is no Unicode text
    except ValueError as error:
        raise CorpusError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{where}: a JSON object is needed, found {type(row).__name__}")
    return {column: _value(f"{where}: {column}", row.get(column), kind) for column, kind in types.items()} or row


def _value(where: str, value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if kind == TEXTS:
        if isinstance(value, list) and all(isinstance(text, str) for text in value):
            return value
        raise CorpusError(f"{where} is a {type(value).__name__}; a list of strings is needed")
    if isinstance(value, list | dict):
        raise CorpusError(f"{where} is a {type(value).__name__}; a string is needed")
    return str(value)
