"""Lines of text files (UTF-8, with or without a byte order mark, any line ends, plain or gzip), JSON lines and CSV."""

from __future__ import annotations

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from typing import IO, Any

from fsspec import AbstractFileSystem

from hbt_ray.errors import CorpusError
from hbt_ray.storage import open_fs, unreadable

BOM = b"\xef\xbb\xbf"
OTHER_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def open_bytes(fs: AbstractFileSystem, path: str) -> IO[bytes]:
    """A file as it is, or unpacked."""
    raw = fs.open(path, "rb")
    return gzip.open(raw) if path.endswith(".gz") else raw  # type: ignore[return-value]


def text_lines(location: str) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of every line that is not blank.

    Raises:
        CorpusError: not UTF-8, with what it seems to be; damaged or cut off, with the line.
    """
    fs, path = open_fs(location)
    number = 0
    try:
        with open_bytes(fs, path) as file:
            for number, raw in enumerate(file, 1):
                line = _decoded(path, number, raw).rstrip("\r\n")
                if line.strip():
                    yield number, line
    except (EOFError, zlib.error, OSError) as error:
        raise unreadable(path, error, f"damaged, or cut off, after line {number}; fetch it again") from None


def json_lines(location: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a file of JSON lines; CorpusError, with file and line, where one is no JSON object."""
    for number, line in text_lines(location):
        where = f"{location} line {number}"
        try:
            row = json.loads(line)
            if "\\ud" in line or "\\uD" in line:  # escapes can write half a pair, which no tokenizer takes
                json.dumps(row, ensure_ascii=False).encode()
        except ValueError as error:
            raise CorpusError(f"{where}: not valid JSON ({error}); mend the line, or fetch the file again") from None
        if not isinstance(row, dict):
            raise CorpusError(f"{where} is {line[:60]!r}; a JSON object, {{...}}, is needed")
        yield number, row


def csv_rows(location: str) -> Iterator[tuple[int, list[str]]]:
    """(number of its first line, cells) of every row of a CSV or TSV file, the header first.

    CSV is read as RFC 4180 has it. TSV (by the name) has no quoting: a line is a row.

    Raises:
        CorpusError: a row has more or fewer cells than the header, or a quotation mark in CSV swallows lines; names
            the line.
    """
    tab = location.removesuffix(".gz").endswith(".tsv")
    header: list[str] = []
    for number, row in _tsv_rows(location) if tab else _csv_rows(location):
        header = header or row
        if len(row) != len(header):
            raise CorpusError(
                f"{location} line {number} has {len(row)} cells, its header {len(header)} ({', '.join(header)[:200]}); "
                + ("write no tabs or line ends in a cell" if tab else "put cells with commas or line ends in quotes")
            )
        yield number, row


def _tsv_rows(location: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in text_lines(location):
        yield number, line.split("\t")


def _csv_rows(location: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(sys.maxsize)
    fs, path = open_fs(location)
    try:
        with open_bytes(fs, path) as file:
            # with their ends: a cell may hold some
            reader = csv.reader((_decoded(path, number, raw) for number, raw in enumerate(file, 1)), strict=True)
            first = 1
            try:
                for row in reader:
                    if row:
                        yield first, row
                    first = reader.line_num + 1
            except csv.Error as error:
                raise CorpusError(
                    f"{location} line {first}: a cell of this row has a quotation mark that nothing closes, or text "
                    f'after its closing one ({error}); write quoted cells as "a ""word""", or save it as .tsv, '
                    "which has no quoting"
                ) from None
    except (EOFError, zlib.error, OSError) as error:
        raise unreadable(path, error, "not a whole CSV file") from None


def _decoded(path: str, number: int, raw: bytes) -> str:
    if number == 1:
        if raw[:2] in OTHER_BOMS:
            raise _not_utf8(path, OTHER_BOMS[raw[:2]])
        raw = raw.removeprefix(BOM)
    if b"\0" in raw:
        raise _not_utf8(path, f"UTF-16 or binary (line {number} has zero bytes)")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise _not_utf8(path, f"Latin-1 or Windows-1252, it seems (byte {byte:#x} in line {number})") from None


def _not_utf8(path: str, encoding: str) -> CorpusError:
    return CorpusError(f"{path} is not in UTF-8, but in {encoding}; convert it to UTF-8")
