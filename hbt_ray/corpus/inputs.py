"""What `corpus.input` names, cut into units of work that are read apart from each other.

Input is in LONG form, one row an item in one language: `id, lang, question, passage` and optionally `source`,
`weight` and `negatives` (a list of texts); other columns are ignored. A unit is a range of rows of one file, so one
huge file is read by many tasks, and no task holds more than a batch of rows. Several inputs are one, by commas:

    /data/faq, /data/more.csv?question=title&lang==de, source:squad

After a question mark, `question=title` reads a column that has another name, `lang==de` puts the same value in every
row, and `id=#` numbers the rows. `source:NAME` is one of `hbt_ray.corpus.sources`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hbt_ray.corpus.readers.csv import CSV_SUFFIXES, csv_units, read_csv
from hbt_ray.corpus.readers.hf import hf_units, is_hf, read_hf
from hbt_ray.corpus.readers.jsonl import JSON_SUFFIXES, jsonl_units, read_jsonl
from hbt_ray.corpus.readers.parquet import parquet_units, read_parquet
from hbt_ray.corpus.readers.units import NAMES, REQUIRED, Columns, Unit
from hbt_ray.corpus.sources.source_rows import SOURCE, read_source, source_identity, source_units
from hbt_ray.errors import CorpusError
from hbt_ray.storage import is_local, open_fs

Describe = Callable[[Any, str, Columns], list[Unit] | str]
DESCRIBE: dict[tuple[str, ...], Describe] = {
    (".parquet",): parquet_units,
    JSON_SUFFIXES: jsonl_units,
    CSV_SUFFIXES: csv_units,
}
"""Endings of files -> what finds their units."""
READERS: dict[str, Callable[[Unit], Iterator[pa.Table]]] = {
    "parquet": read_parquet,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "hf": read_hf,
    "source": read_source,
}
"""Kind of a unit -> what reads it."""
KEPT = "kept"
"""Directory of a cleaned corpus that holds the rows that were kept."""
SUFFIXES = tuple(suffix for endings in DESCRIBE for suffix in endings)


@dataclass(frozen=True)
class Inputs:
    """The files of an input with their units, in order of path."""

    units: tuple[Unit, ...]
    num_bytes: int
    fingerprint: str
    ignored: tuple[str, ...]
    """Files that hold no questions and passages at all, with the reason."""

    @property
    def unpacked_bytes(self) -> int:
        """Of all units, as far as their files say it."""
        return sum(unit.unpacked_bytes for unit in self.units)


@dataclass(frozen=True)
class _Found:
    """One of several inputs."""

    files: list[tuple[Any, str]]
    """File system and path of each."""
    units: list[Unit]
    ignored: list[str]
    options: str = ""


def find_inputs(location: str) -> Inputs:
    """Resolve directories, files or globs of Parquet, JSONL or CSV, `datasets` directories and named sources.

    Raises:
        CorpusError: nothing found, a file cannot be read, or a column is missing; names file and column.
    """
    found = [_find(part) for part in split_inputs(location)]
    units = [unit for part in found for unit in part.units]
    ignored = [line for part in found for line in part.ignored]
    if not units:
        why = "; ".join(ignored) or "all files are empty"
        raise CorpusError(f"corpus.input={location!r} has no rows in long form ({', '.join(REQUIRED)}): {why}")
    files = [file for part in found for file in part.files]
    with ThreadPoolExecutor(4) as pool:
        digests = iter(list(pool.map(lambda file: _digest(*file), files)))
    identity: list[tuple[str, str]] = []
    for part in found:
        identity += [("?", part.options)] if part.options else []
        identity += [(path.rsplit("/", 1)[-1], next(digests)) for _, path in part.files]
    fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return Inputs(tuple(units), sum(fs.size(path) or 0 for fs, path in files), fingerprint, tuple(ignored))


def read_unit(unit: Unit) -> Iterator[pa.Table]:
    """The rows of a unit as tables of at most `BATCH_ROWS` rows with the columns of `REQUIRED + OPTIONAL` it has."""
    return READERS[unit.kind](unit)


def split_inputs(location: str) -> list[str]:
    """The inputs that `location` names: one, or several by commas."""
    if "," not in location or os.path.exists(location):  # a comma may be in a name
        return [location]
    return [part.strip() for part in location.split(",") if part.strip()]


def split_options(location: str) -> tuple[str, dict[str, str]]:
    """`PATH?name=value&...` as the path and its options; a question mark without them belongs to a glob."""
    match = re.fullmatch(r"(.*)\?(\w+=[^?]*)", location)
    if match is None:
        return location, {}
    return match[1], dict(part.partition("=")[::2] for part in match[2].split("&") if part)


def input_name(location: str) -> str:
    """A name for what is made from an input: that of the first file, directory or source that `location` names."""
    path = split_options(split_inputs(location)[0])[0].rstrip("/")
    *parents, last = path.removeprefix(SOURCE).split("/")
    if last == KEPT and parents:  # of a cleaned corpus
        last = parents[-1]
    return re.sub(r"[:?&=#,*\[\]]+", "-", last.split(".")[0].strip("*?[]")) or "corpus"  # which an input may have in it


def _find(location: str) -> _Found:
    path, options = split_options(location)
    if location.startswith(SOURCE):
        files, units = source_units(path.removeprefix(SOURCE), options)
        return _Found([(open_fs(file)[0], file) for file in files], units, [], source_identity(location))
    unknown = [name for name in options if name not in NAMES]
    if unknown:
        raise CorpusError(f"corpus.input={location!r}: {unknown[0]!r} is no column of long form ({', '.join(NAMES)})")
    fs, root = open_fs(path)
    named = "&".join(f"{name}={value}" for name, value in sorted(options.items()))
    if is_hf(fs, root):
        files, units = hf_units(root, location, options)
        return _Found([(fs, file) for file in files], units, [], named)
    units, ignored = [], []
    paths = _list_files(fs, root, path)
    for file in paths:
        describe = next(describe for endings, describe in DESCRIBE.items() if file.endswith(endings))
        described = describe(fs, file, options)
        if isinstance(described, str):
            ignored.append(f"{file}: {described}")
        else:
            units.extend(described)
    return _Found([(fs, file) for file in paths], units, ignored, named)


def _list_files(fs: Any, root: str, location: str) -> list[str]:
    if any(c in root for c in "*?["):
        found = fs.glob(root)
    elif fs.isdir(root):
        found = [path for path in fs.find(root) if not any(p[:1] in "._" for p in path[len(root) :].split("/") if p)]
    elif fs.exists(root):
        found = [root]
    else:
        raise CorpusError(
            f"corpus.input={location!r} does not exist; give a directory, file or glob, `sample`, or source:NAME"
        )
    paths = sorted(path for path in found if path.endswith(SUFFIXES))
    if not paths:
        raise CorpusError(f"corpus.input={location!r} has no files ending in {', '.join(SUFFIXES)}")
    return paths


def _digest(fs: Any, path: str) -> str:
    """Hash of a local file's content; what a remote store says identifies it (ETag, generation) elsewhere."""
    if not is_local(fs):
        return str(fs.checksum(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
