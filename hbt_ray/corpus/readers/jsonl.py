"""Long-form rows in JSON lines, plain or compressed with gzip; a file is one unit."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any

import pyarrow as pa

from hbt_ray.corpus.readers import units
from hbt_ray.corpus.readers.units import NAMES, Columns, Unit, check_columns, file_columns, take_columns, url_of
from hbt_ray.errors import CorpusError
from hbt_ray.storage import open_fs, unreadable

JSON_SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


Wanted = Mapping[str, str]
"""Column of the file -> its name in long form, of the columns that are read."""


def jsonl_units(fs: Any, path: str, mapping: Columns) -> list[Unit] | str:
    """The one unit of a file, or why it is no part of the corpus; the first row names the columns."""
    names = [name for row in itertools.islice(_rows(fs, path, {}), 1) for name in row]
    if not names:
        return "is empty"
    columns = check_columns(path, names, mapping=mapping)
    if isinstance(columns, str):
        return columns
    taken = {entry.partition("=")[0] for entry in columns}
    rest = tuple(name for name in NAMES if name not in taken)  # later rows may have them
    return [Unit("jsonl", url_of(fs, path), 0, -1, (*columns, *rest))]


def read_jsonl(unit: Unit) -> Iterator[pa.Table]:
    """Tables of at most `BATCH_ROWS` rows."""
    names = {entry.partition("=")[2] or entry: entry.partition("=")[0] for entry in unit.columns}
    wanted = {column: names[column] for column in file_columns(unit.columns)}
    rows = _rows(*open_fs(unit.path), wanted)
    first = 0
    while batch := list(itertools.islice(rows, units.BATCH_ROWS)):
        yield take_columns(_table(batch, wanted), unit, first)
        first += len(batch)


def open_text(fs: Any, path: str) -> IO[bytes]:
    """A file as it is, or unpacked."""
    raw = fs.open(path, "rb")
    return gzip.open(raw) if path.endswith(".gz") else raw  # type: ignore[return-value]


def _rows(fs: Any, path: str, wanted: Wanted) -> Iterator[dict[str, Any]]:
    with open_text(fs, path) as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _row(path, number, line, wanted)
        except (EOFError, OSError, zlib.error) as error:
            raise unreadable(path, error, "damaged, or cut off in the middle") from None


def _row(path: str, number: int, line: bytes, wanted: Wanted) -> dict[str, Any]:
    where = f"{path} line {number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CorpusError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{where}: a JSON object is needed, found {type(row).__name__}")
    escapes = b"\\ud" in line.lower()
    for column, name in wanted.items():
        value = row.get(column)
        if name == "negatives":
            texts = [] if value is None else value
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise CorpusError(f"{where}: {column} is a {type(value).__name__}; a list of strings is needed")
        elif isinstance(value, list | dict):
            raise CorpusError(f"{where}: {column} is a {type(value).__name__}; a string is needed")
        if escapes and not _is_unicode(value):
            raise CorpusError(f"{where}: {column} has half of a surrogate pair, which is no Unicode text")
    return row


def _is_unicode(value: object) -> bool:
    try:
        (json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _table(rows: list[dict[str, Any]], wanted: Wanted) -> pa.Table:
    """Strings as strings (numbers in `id` too), so that every block has one schema."""
    columns: dict[str, pa.Array] = {}
    for column, name in wanted.items():
        values = [row.get(column) for row in rows]
        if name == "negatives":
            columns[column] = pa.array(values, pa.list_(pa.string()))
        else:
            columns[column] = pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.table(columns)
