"""What `corpus.input` names, cut into units of work that are read apart from each other.

Input is in LONG form, one row an item in one language: `id, lang, question, passage` and optionally `source`
and `weight`; other columns are ignored. A unit is a range of rows of one file, so one huge file is read by
many tasks, and no task holds more than a batch of rows.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from hbt_ray.errors import CorpusError
from hbt_ray.storage import is_local, open_fs

REQUIRED = ("id", "lang", "question", "passage")
OPTIONAL = ("source", "weight")
BATCH_ROWS = 8192
ROWS_A_UNIT = 262_144
JSON_SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


@dataclass(frozen=True)
class Unit:
    """Rows `start` to `stop` of one file (JSONL is read whole: `stop` is -1)."""

    kind: str
    path: str
    start: int
    stop: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Inputs:
    """The files of an input with their units, in order of path."""

    units: tuple[Unit, ...]
    num_bytes: int
    fingerprint: str
    ignored: tuple[str, ...]
    """Files that hold no questions and passages at all, with the reason."""


def find_inputs(location: str) -> Inputs:
    """Resolve a directory, file or glob of Parquet/JSONL, or a `datasets` directory, and check its columns.

    Raises:
        CorpusError: nothing found, a file cannot be read, or a column is missing; names file and column.
    """
    fs, root = open_fs(location)
    if fs.isdir(root) and (fs.exists(f"{root}/state.json") or fs.exists(f"{root}/dataset_dict.json")):
        paths, units, ignored = _hf_units(root, location)
    else:
        paths = _list_files(fs, root, location)
        units, ignored = [], []
        for path in paths:
            describe = _jsonl_units if path.endswith(JSON_SUFFIXES) else _parquet_units
            found = describe(fs, path)
            if isinstance(found, str):
                ignored.append(f"{path}: {found}")
            else:
                units.extend(found)
    if not units:
        why = "; ".join(ignored) or "all files are empty"
        raise CorpusError(f"corpus.input={location!r} has no rows in long form ({', '.join(REQUIRED)}): {why}")
    with ThreadPoolExecutor(4) as pool:
        digests = list(pool.map(lambda path: _digest(fs, path), paths))
    names = [path.rsplit("/", 1)[-1] for path in paths]
    fingerprint = hashlib.sha256(json.dumps(list(zip(names, digests, strict=True))).encode()).hexdigest()
    return Inputs(tuple(units), sum(fs.size(path) or 0 for path in paths), fingerprint, tuple(ignored))


def read_unit(unit: Unit) -> Iterator[pa.Table]:
    """The rows of a unit as tables of at most `BATCH_ROWS` rows with the columns of `REQUIRED + OPTIONAL` it has."""
    return READERS[unit.kind](unit)


def _url(fs: Any, path: str) -> str:
    """A path that opens from anywhere: as it is on local disks, with its protocol elsewhere."""
    return path if is_local(fs) else str(fs.unstrip_protocol(path))


def _list_files(fs: Any, root: str, location: str) -> list[str]:
    suffixes = (".parquet", *JSON_SUFFIXES)
    if any(c in root for c in "*?["):
        found = fs.glob(root)
    elif fs.isdir(root):
        found = [path for path in fs.find(root) if not any(p[:1] in "._" for p in path[len(root) :].split("/") if p)]
    elif fs.exists(root):
        found = [root]
    else:
        raise CorpusError(f"corpus.input={location!r} does not exist; give a directory, file or glob, or `sample`")
    paths = sorted(path for path in found if path.endswith(suffixes))
    if not paths:
        raise CorpusError(f"corpus.input={location!r} has no files ending in {', '.join(suffixes)}")
    return paths


def _check_columns(path: str, names: list[str], schema: pa.Schema | None = None) -> str | tuple[str, ...]:
    """The columns to read, or why the file is not part of the corpus."""
    if not {"question", "passage"} & set(names):
        return f"has neither question nor passage (columns: {', '.join(names)})"
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise CorpusError(
            f"{path}: missing column {', '.join(missing)}; found {', '.join(names)}; required: {', '.join(REQUIRED)}"
        )
    columns = (*REQUIRED, *(name for name in OPTIONAL if name in names))
    for column in schema or ():
        if column.name in columns and pa.types.is_nested(column.type):
            raise CorpusError(f"{path}: column {column.name} holds {column.type}; a string is needed")
    return columns


def _parquet_units(fs: Any, path: str) -> list[Unit] | str:
    try:
        with fs.open(path) as file:
            metadata = pq.ParquetFile(file).metadata
            schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(f"{path}: not a whole Parquet file ({' '.join(str(error).split())[:160]})") from None
    columns = _check_columns(path, schema.names, schema)
    if isinstance(columns, str):
        return columns
    units, start, rows = [], 0, 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= ROWS_A_UNIT or group == metadata.num_row_groups - 1:
            units.append(Unit("parquet", _url(fs, path), start, group + 1, columns))
            start, rows = group + 1, 0
    return [unit for unit in units if metadata.num_rows]


def _read_parquet(unit: Unit) -> Iterator[pa.Table]:
    """`start` and `stop` count row groups here, the unit in which Parquet can be read apart."""
    fs, path = open_fs(unit.path)
    try:
        with fs.open(path) as file:
            reader = pq.ParquetFile(file)
            groups = list(range(unit.start, unit.stop))
            for batch in reader.iter_batches(BATCH_ROWS, row_groups=groups, columns=list(unit.columns)):
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"{unit.path}: cannot be read ({' '.join(str(error).split())[:160]})") from None


def _open_text(fs: Any, path: str) -> IO[bytes]:
    raw = fs.open(path, "rb")
    return gzip.open(raw) if path.endswith(".gz") else raw  # type: ignore[return-value]


def _jsonl_units(fs: Any, path: str) -> list[Unit] | str:
    names = [name for row in itertools.islice(_json_rows(fs, path), 1) for name in row]
    if not names:
        return "is empty"
    columns = _check_columns(path, names)
    return columns if isinstance(columns, str) else [Unit("jsonl", _url(fs, path), 0, -1, (*REQUIRED, *OPTIONAL))]


def _json_rows(fs: Any, path: str) -> Iterator[dict[str, Any]]:
    with _open_text(fs, path) as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _json_row(path, number, line)
        except (EOFError, OSError, zlib.error) as error:
            raise CorpusError(f"{path}: damaged, or cut off in the middle ({error})") from None


def _json_row(path: str, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CorpusError(f"{path} line {number}: not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{path} line {number}: a JSON object is needed, found {type(row).__name__}")
    for name in (*REQUIRED, *OPTIONAL):
        if isinstance(row.get(name), list | dict):
            raise CorpusError(f"{path} line {number}: {name} is a {type(row[name]).__name__}; a string is needed")
        if b"\\ud" in line.lower() and not _is_unicode(row.get(name)):
            raise CorpusError(f"{path} line {number}: {name} has half of a surrogate pair, which is no Unicode text")
    return row


def _is_unicode(value: object) -> bool:
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_jsonl(unit: Unit) -> Iterator[pa.Table]:
    rows = _json_rows(*open_fs(unit.path))
    while batch := list(itertools.islice(rows, BATCH_ROWS)):
        yield _table([{name: row.get(name) for name in unit.columns} for row in batch])


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    """Strings as strings (numbers in `id` too), so that every block has one schema."""
    columns = {name: [None if row[name] is None else str(row[name]) for row in rows] for name in rows[0]}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _hf_units(root: str, location: str) -> tuple[list[str], list[Unit], list[str]]:
    """Units of a `datasets` directory; of a `DatasetDict` the split `train` is taken."""
    dataset = _load_hf(root)
    columns = _check_columns(root, dataset.column_names, dataset.features.arrow_schema)
    if isinstance(columns, str):
        raise CorpusError(f"corpus.input={location!r} {columns}; required: {', '.join(REQUIRED)}")
    starts = range(0, dataset.num_rows, ROWS_A_UNIT)
    units = [Unit("hf", root, at, min(at + ROWS_A_UNIT, dataset.num_rows), columns) for at in starts]
    return [file["filename"] for file in dataset.cache_files], units, []


def _load_hf(root: str) -> Any:
    import datasets

    try:
        loaded = datasets.load_from_disk(root)
    except Exception as error:  # the library raises many kinds for a damaged directory
        raise CorpusError(f"{root}: not a whole `datasets` directory ({' '.join(str(error).split())[:160]})") from None
    if isinstance(loaded, datasets.DatasetDict):
        if "train" not in loaded:
            raise CorpusError(f"{root}: has splits {', '.join(loaded)} but no `train`; name one split's directory")
        loaded = loaded["train"]
    return loaded


def _read_hf(unit: Unit) -> Iterator[pa.Table]:
    dataset = _load_hf(unit.path).select_columns(list(unit.columns)).with_format("arrow")
    for start in range(unit.start, unit.stop, BATCH_ROWS):
        yield dataset[start : min(start + BATCH_ROWS, unit.stop)]


def _digest(fs: Any, path: str) -> str:
    """Hash of a local file's content; what a remote store says identifies it (ETag, generation) elsewhere."""
    if not is_local(fs):
        return str(fs.checksum(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


READERS: dict[str, Callable[[Unit], Iterator[pa.Table]]] = {
    "parquet": _read_parquet,
    "jsonl": _read_jsonl,
    "hf": _read_hf,
}
