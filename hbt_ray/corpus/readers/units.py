"""A unit of work: rows of one file that are read apart from all others, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hbt_ray.errors import CorpusError
from hbt_ray.reading.columns import named_labels

REQUIRED = ("id", "lang", "question", "passage")
OPTIONAL = ("source", "weight", "negatives")
NAMES = (*REQUIRED, *OPTIONAL)
BATCH_ROWS = 8192
ROWS_A_UNIT = 262_144
ROW_NUMBER = "#"

Columns = Mapping[str, str]
"""Name in long form -> column of the file, `=VALUE` for the same value in every row, `#` for the row's number."""


@dataclass(frozen=True)
class Unit:
    """Rows `start` to `stop` of one file (JSONL and CSV are read whole: `stop` is -1)."""

    kind: str
    path: str
    start: int
    stop: int
    columns: tuple[str, ...]
    """Columns to read: `name`, or `name=column` as in `Columns`; for a named source the arguments of its reader."""
    unpacked_bytes: int = 0
    """Of the unit once it is read, 0 if the file does not say it."""


def row_units(kind: str, path: str, num_rows: int, size: int, columns: tuple[str, ...]) -> list[Unit]:
    """Units of at most `size` rows."""
    return [Unit(kind, path, start, min(start + size, num_rows), columns) for start in range(0, num_rows, size)]


def check_columns(
    path: str, names: list[str], schema: pa.Schema | None = None, mapping: Columns | None = None
) -> str | tuple[str, ...]:
    """The columns to read (as in `Unit`) of those a file has, or why it is not part of the corpus.

    `schema` has their types, where the file does; `mapping` says which columns have other names.
    """
    mapping = mapping or {}
    column_of = {name: mapping.get(name, name) for name in NAMES}
    present = [name for name, column in column_of.items() if column[:1] in ("=", ROW_NUMBER) or column in names]
    if not {"question", "passage"} & set(present):
        return f"has neither question nor passage (columns: {', '.join(names)})"
    missing = [column_of[name] for name in NAMES if name not in present and (name in REQUIRED or name in mapping)]
    if missing:
        raise CorpusError(
            f"{path}: missing column {', '.join(missing)}; found {', '.join(names)}; required: {', '.join(REQUIRED)}"
        )
    for name in present:
        column = column_of[name]
        if schema is None or column not in schema.names:
            continue
        kind = schema.field(column).type
        if name != "negatives" and pa.types.is_nested(kind):
            raise CorpusError(f"{path}: column {column} holds {kind}; a string is needed")
        if name == "negatives" and not _is_texts(kind):
            raise CorpusError(f"{path}: column {column} holds {kind}; a list of strings is needed")
    return tuple(name if column_of[name] == name else f"{name}={column_of[name]}" for name in present)


def _is_texts(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return not pa.types.is_nested(kind.value_type if lists else kind)


def file_columns(columns: tuple[str, ...]) -> list[str]:
    """The columns of the file that are needed for `columns`, each once."""
    wanted = [entry.partition("=")[2] or entry for entry in columns]
    return list(dict.fromkeys(column for column in wanted if column[:1] not in ("=", ROW_NUMBER)))


def take_columns(table: pa.Table | Mapping[str, pa.Array], unit: Unit, first_row: int, num_rows: int) -> pa.Table:
    """`num_rows` rows, which begin at row `first_row` of the unit's file, under the names of long form."""
    if isinstance(table, pa.Table):
        table = named_labels(table)
    out: dict[str, Any] = {}
    for entry in unit.columns:
        name, _, column = entry.partition("=")
        if column == ROW_NUMBER:
            stem = unit.path.rsplit("/", 1)[-1].split(".")[0]
            rows = range(first_row, first_row + num_rows)
            out[name] = pa.array([f"{stem}:{row}" for row in rows], pa.string())
        elif column[:1] == "=":
            out[name] = pa.array([column[1:]] * num_rows, pa.string())
        else:
            out[name] = table[column or name]
    return pa.table(out)
