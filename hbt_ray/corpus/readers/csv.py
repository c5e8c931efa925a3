"""Long-form rows in CSV and TSV with a header line, plain or compressed with gzip; a file is one unit."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as pc
from fsspec import AbstractFileSystem

from hbt_ray.corpus.readers import units
from hbt_ray.corpus.readers.jsonl import open_text
from hbt_ray.corpus.readers.units import NAMES, Columns, Unit, check_columns, file_columns, take_columns, url_of
from hbt_ray.storage import open_fs, unreadable

BLOCK_BYTES = 4 << 20
"""Read at once; a row must fit."""


def csv_units(fs: AbstractFileSystem, path: str, mapping: Columns) -> list[Unit] | str:
    """The one unit of a file, or why it is no part of the corpus."""
    if not fs.size(path):
        return "is empty"
    names = next(iter(_blocks(fs, path, None))).schema.names
    columns = check_columns(path, names, mapping=mapping)
    if isinstance(columns, str):
        return columns
    single = tuple(entry for entry in columns if entry.partition("=")[0] != "negatives")  # a cell holds one text
    return [Unit("csv", url_of(fs, path), 0, -1, single)]


def read_csv(unit: Unit) -> Iterator[pa.Table]:
    """Tables of at most `BATCH_ROWS` rows; every cell is text."""
    row = 0
    for batch in _blocks(*open_fs(unit.path), file_columns(unit.columns)):
        for start in range(0, batch.num_rows, units.BATCH_ROWS):
            part = pa.Table.from_batches([batch.slice(start, units.BATCH_ROWS)])
            yield take_columns(part, unit, row)
            row += part.num_rows


def _blocks(fs: AbstractFileSystem, path: str, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    tab = path.removesuffix(".gz").endswith(".tsv")
    parse = pc.ParseOptions(delimiter="\t" if tab else ",", newlines_in_values=True)
    types = dict.fromkeys(NAMES if columns is None else columns, pa.string())
    convert = pc.ConvertOptions(column_types=types, strings_can_be_null=False, include_columns=columns)
    read = pc.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    try:
        with open_text(fs, path) as file:
            yield from pc.open_csv(file, read_options=read, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, EOFError, OSError) as error:
        raise unreadable(path, error, "not a whole CSV file") from None
