"""What `corpus.input` names, cut into units of work, and the one door through which rows are read.

Input is in LONG form, one row an item in one language: `id, lang, question, passage` and optionally `source`,
`weight` and `negatives` (a list of texts); other columns are ignored. A unit is a range of rows of one file, so one
huge file is read by many tasks, and no task holds more than a batch of rows. Several inputs are one, by commas:

    /data/faq, /data/more.csv?question=title&lang==de, source:squad

After a question mark, `question=title` reads a column that has another name, `lang==de` puts the same value in every
row, and `id=#` numbers the rows. `source:NAME` is one of `hbt_ray.corpus.sources`.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import fsspec
import pyarrow as pa
from fsspec import AbstractFileSystem

from hbt_ray.corpus.readers.csv import csv_units, read_csv
from hbt_ray.corpus.readers.hf import hf_units, is_hf, read_hf
from hbt_ray.corpus.readers.jsonl import jsonl_units, read_jsonl
from hbt_ray.corpus.readers.named import known_source, named_units, read_named
from hbt_ray.corpus.readers.parquet import parquet_units, read_parquet
from hbt_ray.corpus.readers.units import NAMES, REQUIRED, Columns, Unit
from hbt_ray.corpus.sources import SOURCE
from hbt_ray.errors import CorpusError
from hbt_ray.storage import is_local, open_fs

FindUnits = Callable[[AbstractFileSystem, str, Columns], list[Unit] | str]
ReadUnit = Callable[[Unit], Iterator[pa.Table]]
UNITS: dict[str, FindUnits] = {
    ".parquet": parquet_units,
    **dict.fromkeys((".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"), jsonl_units),
    **dict.fromkeys((".csv", ".csv.gz", ".tsv", ".tsv.gz"), csv_units),
}
"""Ending of a file -> its units, or why it is no part of the corpus."""
READERS: dict[str, ReadUnit] = {
    "parquet": read_parquet,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "hf": read_hf,
    "source": read_named,
}
"""Kind of a unit -> its rows."""
KEPT = "kept"
"""Directory of a cleaned corpus that holds the rows that were kept."""


@dataclass(frozen=True)
class Inputs:
    """The units of an input, in order of path."""

    units: tuple[Unit, ...]
    num_bytes: int
    fingerprint: str
    ignored: tuple[str, ...]
    """Files that hold no questions and passages at all, with the reason."""

    @property
    def unpacked_bytes(self) -> int:
        """Of all units, as far as their files say it."""
        return sum(unit.unpacked_bytes for unit in self.units)


class _Part(NamedTuple):
    """One of several inputs."""

    fs: AbstractFileSystem
    files: list[str]
    units: list[Unit]
    ignored: list[str]
    options: str
    """Counts in the fingerprint if it is not empty."""


def find_inputs(location: str) -> Inputs:
    """Resolve directories, files or globs of Parquet, JSONL or CSV, `datasets` directories and named sources.

    Raises:
        CorpusError: nothing found, a file cannot be read, or a column is missing; names file and column.
    """
    parts = [_find(part) for part in split_inputs(location)]
    units = tuple(unit for part in parts for unit in part.units)
    ignored = tuple(line for part in parts for line in part.ignored)
    if not units:
        why = "; ".join(ignored) or "all files are empty"
        raise CorpusError(f"corpus.input={location!r} has no rows in long form ({', '.join(REQUIRED)}): {why}")
    num_bytes = sum(part.fs.size(file) or 0 for part in parts for file in part.files)
    identity: list[tuple[str, str]] = []
    with ThreadPoolExecutor(4) as pool:
        for part in parts:
            identity += [("?", part.options)] if part.options else []
            digests = pool.map(_digest, [part.fs] * len(part.files), part.files)
            identity += zip((file.rsplit("/", 1)[-1] for file in part.files), digests, strict=True)
    fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return Inputs(units, num_bytes, fingerprint, ignored)


def read_unit(unit: Unit) -> Iterator[pa.Table]:
    """The rows of a unit as tables of at most `BATCH_ROWS` rows with the columns of `REQUIRED + OPTIONAL` it has."""
    return READERS[unit.kind](unit)


def split_inputs(location: str) -> list[str]:
    """The inputs that `location` names: one, or several by commas."""
    if "," not in location or os.path.exists(location):  # a comma may be in a name
        return [location]
    return [part.strip() for part in location.split(",") if part.strip()]


def split_options(location: str) -> tuple[str, dict[str, str]]:
    """`PATH?name=value&...` as the path and its options; a question mark without them belongs to a path or glob."""
    match = re.fullmatch(r"(.*)\?(\w+=[^?]*)", location)
    if match is None or os.path.exists(location):
        return location, {}
    return match[1], dict(part.partition("=")[::2] for part in match[2].split("&") if part)


def is_glob(fs: AbstractFileSystem, path: str) -> bool:
    """Whether a path is a pattern: it has `*`, `?` or `[` in it, and nothing is called so."""
    return any(c in path for c in "*?[") and not fs.exists(path)


def find_glob(fs: AbstractFileSystem, pattern: str) -> list[str]:
    """What a pattern finds; the directories that are there are taken as they are called, `[v2]` too."""
    parts = pattern.split("/")
    places = (("/".join(parts[:number]), "/".join(parts[number:])) for number in range(len(parts) - 1, 0, -1))
    parent, rest = next(((parent, rest) for parent, rest in places if parent and fs.isdir(parent)), ("", ""))
    found: list[str] = fs.glob(f"{glob.escape(parent)}/{rest}" if parent else pattern)
    return found


def input_name(location: str) -> str:
    """A name for the output of an input: that of the first file, directory or source that `location` names."""
    path = split_options(split_inputs(location)[0])[0].rstrip("/")
    *parents, last = path.removeprefix(SOURCE).split("/")
    if last == KEPT and parents:  # of a cleaned corpus
        last = parents[-1]
    return re.sub(r"[:?&=#,*\[\]]+", "-", last.split(".")[0].strip("*?[]")) or "corpus"  # which an input may have in it


def _find(location: str) -> _Part:
    path, options = split_options(location)
    if location.startswith(SOURCE):
        name = path.removeprefix(SOURCE)
        files, units = named_units(name, options)
        by_lang = " id=lang" if known_source(name.partition(":")[0]).by_lang else ""
        return _Part(fsspec.filesystem("file"), files, units, [], location + by_lang)
    unknown = [name for name in options if name not in NAMES]
    if unknown:
        raise CorpusError(f"corpus.input={location!r}: {unknown[0]!r} is no column of long form ({', '.join(NAMES)})")
    fs, root = open_fs(path)
    named = "&".join(f"{name}={value}" for name, value in sorted(options.items()))
    if is_hf(fs, root):
        files, units = hf_units(root, location, options)
        return _Part(fs, files, units, [], named)
    part = _Part(fs, _list_files(fs, root, path), [], [], named)
    for file in part.files:
        units_or_why = next(find for ending, find in UNITS.items() if file.endswith(ending))(fs, file, options)
        if isinstance(units_or_why, str):
            part.ignored.append(f"{file}: {units_or_why}")
        else:
            part.units.extend(units_or_why)
    return part


def _list_files(fs: AbstractFileSystem, root: str, location: str) -> list[str]:
    if is_glob(fs, root):
        paths = find_glob(fs, root)
    elif fs.isdir(root):
        paths = [path for path in fs.find(root) if not any(p[:1] in "._" for p in path[len(root) :].split("/") if p)]
    elif fs.exists(root):
        paths = [root]
    else:
        raise CorpusError(
            f"corpus.input={location!r} does not exist; give a directory, file or glob, `sample`, or source:NAME"
        )
    files = sorted(path for path in paths if path.endswith(tuple(UNITS)))
    if not files:
        raise CorpusError(f"corpus.input={location!r} has no files ending in {', '.join(UNITS)}")
    return files


def _digest(fs: AbstractFileSystem, path: str) -> str:
    """Hash of a local file's content; of a remote one the store's own identity (ETag, generation)."""
    if not is_local(fs):
        return str(fs.checksum(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
