"""Translated corpora on disk: a directory that `corpus.input` reads, whose languages appear when they are whole.

manifest.json               what was made of what, how long it took; absent until everything else is whole
made_from.json              what decides the rows; written first
original/00000-00003-<digest>.parquet   the rows as they came
de/00000-00003-<digest>.parquet         unit, chunk, and a digest of rows, model, settings and language
_de/...                     a language that is not whole yet, which readers of the directory do not see
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hbt_ray.errors import ConfigError
from hbt_ray.finished import MADE_FROM, FinishedFiles
from hbt_ray.storage import open_fs, read_json, write_json
from hbt_ray.translation.pending import ShardStats

MANIFEST, ORIGINAL, SUFFIX = "manifest.json", "original", ".parquet"
METADATA = b"hbt_ray.translation"


@dataclass(frozen=True)
class TranslationStore:
    """One directory of translations (local or URL): of one input, by one model with one set of settings."""

    directory: str

    def begin(self, made_from: dict[str, str], models: dict[str, str]) -> None:
        """Note what decides the rows; `models` are the fingerprints of the languages' models.

        Raises:
            ConfigError: a language that is there was translated with other weights of the same name.
        """
        location = f"{self.directory}/{MADE_FROM}"
        theirs = (read_json(location) or {}).get("models", {})
        changed = [lang for lang in models if theirs.get(lang, models[lang]) != models[lang]]
        if changed:
            raise ConfigError(
                f"{self.directory} has {', '.join(changed)} by other weights of the same model: remove the directory "
                f"of the language there ({changed[0]} or _{changed[0]}) and {MADE_FROM}, or set translate.output"
            )
        write_json(location, {"made_from": made_from, "models": {**theirs, **models}})

    def shards(self, lang: str) -> dict[str, ShardStats]:
        """Name -> stats of the whole shards of a language, seen by readers or not; nothing is changed.

        Raises:
            OSError: the store does not answer, which says nothing of its shards.
        """
        return {name: stats for _, name, stats in self._shards(lang) if stats is not None}

    def remove_damaged(self, lang: str) -> int:
        """Remove files that are no whole shards, so that they are made again; how many there were."""
        damaged = [(files, name) for files, name, stats in self._shards(lang) if stats is None]
        for files, name in damaged:
            files.remove(name)
        return len(damaged)

    def _shards(self, lang: str) -> list[tuple[FinishedFiles, str, ShardStats | None]]:
        """Where they are, names, and stats; None for damaged ones."""
        listed = [(files, files.names()) for files in self.files(lang)]
        return [
            (files, name, stats)
            for files, names in listed
            for name, stats in zip(names, files.read(names, _read_stats), strict=True)
        ]

    def files(self, lang: str) -> tuple[FinishedFiles, FinishedFiles]:
        """Those that readers of the directory do not see, and those that they see."""
        return FinishedFiles(f"{self.directory}/_{lang}", SUFFIX), FinishedFiles(f"{self.directory}/{lang}", SUFFIX)

    def write(self, lang: str, name: str, table: pa.Table, stats: ShardStats) -> None:
        """Write a shard, whole or not at all, where readers do not see it."""
        schema = table.schema.with_metadata({METADATA: json.dumps(asdict(stats)).encode()})
        buffer = io.BytesIO()
        pq.write_table(table.cast(schema), buffer, compression="zstd")
        self.files(lang)[0].write(name, buffer.getvalue())

    def known(self, lang: str, name: str) -> ShardStats | None:
        """The stats of a shard that is there and not yet seen by readers."""
        fs, path = open_fs(f"{self.directory}/_{lang}/{name}")
        return _read_stats(fs, path) if fs.exists(path) else None

    def hide(self, lang: str) -> None:
        """Take a language away from readers, because shards of it are missing; the manifest goes with it."""
        fs, root = open_fs(self.directory)
        if not fs.isdir(f"{root}/{lang}"):
            return
        if fs.exists(f"{root}/{MANIFEST}"):
            fs.rm_file(f"{root}/{MANIFEST}")
        _move(fs, f"{root}/{lang}", f"{root}/_{lang}")

    def show(self, lang: str) -> None:
        """Let readers see a language, which is whole; what killed writers left is removed."""
        fs, root = open_fs(self.directory)
        self.files(lang)[0].remove_parts()
        _move(fs, f"{root}/_{lang}", f"{root}/{lang}")

    def manifest(self) -> dict[str, Any] | None:
        """The manifest, where the directory is whole."""
        return read_json(f"{self.directory}/{MANIFEST}")


def reuse(store: TranslationStore, lang: str, names: Iterable[str], directories: Iterable[str]) -> list[str]:
    """Copy shards of the same digest that other directories have; the names of the copied."""
    hidden, _ = store.files(lang)
    wanted: dict[str, list[str]] = defaultdict(list)
    for name in names:
        wanted[_digest(name)].append(name)
    copied = []
    for files in (files for directory in directories for files in TranslationStore(directory).files(lang)):
        for name in files.names():
            for copy in wanted.pop(_digest(name), ()):
                hidden.write(copy, *files.read([name]))
                copied.append(copy)
    return copied


def _digest(name: str) -> str:
    return name.rsplit("-", 1)[-1]


def _read_stats(fs: Any, path: str) -> ShardStats | None:
    """None for a file that is not a whole shard; OSError where it cannot be read."""
    with fs.open(path) as file:
        try:
            metadata = pq.read_schema(file).metadata
        except pa.ArrowInvalid:
            return None
        except OSError:  # of the store, or what Arrow says of a footer that it cannot decode
            metadata = _metadata_of(fs.cat_file(path))
    try:
        return ShardStats(**json.loads((metadata or {})[METADATA]))
    except (KeyError, TypeError, ValueError):
        return None


def _metadata_of(data: bytes) -> dict[bytes, bytes] | None:
    """The metadata of a shard that is in memory, where all errors are the shard's."""
    try:
        metadata: dict[bytes, bytes] | None = pq.read_schema(io.BytesIO(data)).metadata
    except (pa.ArrowInvalid, OSError):
        return None
    return metadata


def _move(fs: Any, source: str, target: str) -> None:
    """Rename a directory; where the target is there already, its files one by one."""
    if not fs.isdir(source):
        return
    if not fs.isdir(target):
        fs.mv(source, target, recursive=True)
    else:
        for path in fs.ls(source, detail=False):
            fs.mv(path, f"{target}/{path.rsplit('/', 1)[-1]}")
        fs.rm(source, recursive=True)
    fs.invalidate_cache()
