"""Files wherever they are: local paths and URLs through fsspec, small files written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from filelock import FileLock, Timeout
from fsspec import AbstractFileSystem

from hbt_ray.errors import ConfigError, CorpusError, HbtError, UnreadableError, one_line

FULL_BYTES = 1 << 16
"""A file system with less room is full: a block or two are left where a large write failed."""


def open_fs(location: str) -> tuple[AbstractFileSystem, str]:
    """File system and path of `location`.

    Raises:
        ConfigError: the protocol of a URL is unknown, or its package is not installed.
    """
    try:
        fs, path = fsspec.core.url_to_fs(location)
    except (ImportError, ValueError) as error:
        hint = "; pip install 'hbt-ray[s3]'" if location.startswith("s3://") else ""
        raise ConfigError(f"{location!r} cannot be opened: {error}{hint}") from None
    return fs, path


def is_local(fs: AbstractFileSystem) -> bool:
    """Whether a file system is this machine's own."""
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,))


def url_of(fs: AbstractFileSystem, path: str) -> str:
    """A path that opens from anywhere: as it is on local disks, with its protocol elsewhere."""
    return path if is_local(fs) else str(fs.unstrip_protocol(path))


def read_json(location: str) -> dict[str, Any] | None:
    """The JSON object at `location`; None if the file is missing or was cut off."""
    fs, path = open_fs(location)
    if not fs.exists(path):
        return None
    try:
        tree = json.loads(fs.cat_file(path))
    except ValueError:
        return None
    return tree if isinstance(tree, dict) else None


def plain(value: Any) -> Any:
    """`value` in the types of JSON: arrays as lists, keys as texts; NaN and infinity, which JSON lacks, become None."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `section.field` -> value; None is left out.

    >>> dotted({"plan": {"alpha": 0.5, "langs": ["de", "hi"], "lang_temperature": None}})
    {'plan.alpha': 0.5, 'plan.langs': ['de', 'hi']}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= dotted(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = value
    return flat


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON of the `plain` value, which every reader accepts."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(location: str, tree: dict[str, Any]) -> None:
    """Write a JSON object as `write_whole` does."""
    write_whole(location, json.dumps(tree, indent=1, ensure_ascii=False).encode())


def write_whole(location: str, data: bytes) -> None:
    """Write a file so that a reader finds the old one, or the new one whole (object storage writes so by itself)."""
    fs, path = open_fs(location)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    if not is_local(fs):
        fs.pipe_file(path, data)
        return
    part = Path(f"{path}.{secrets.token_hex(4)}.part")  # its own: a task that was given up may still be writing
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def sync(paths: Iterable[Path]) -> None:
    """Files and directories are on the disk itself when this returns."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def is_full(error: BaseException, path: Path) -> bool:
    """Whether an error came of a full file system; libraries that write files say so in words of their own."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    place = next(place for place in (path, *path.parents) if place.exists())
    return not isinstance(error, HbtError) and shutil.disk_usage(place).free < FULL_BYTES


@contextmanager
def only_job(directory: str, report: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, no other job that asks for the same directory gets on; it waits.

    URLs cannot be locked; nor can some network file systems, which is said.
    """
    fs, path = open_fs(directory)
    if not is_local(fs):
        yield
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.parent / f".{target.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"{directory}: another job is making it; waiting for that")
        lock.acquire()
    except NotImplementedError:
        report(f"{directory}: this file system has no locks; let no other job make the same at the same time")
    try:
        yield
    finally:
        lock.release()


def unreadable(path: str, error: Exception, damage: str) -> CorpusError:
    """The error for a damaged file; an `UnreadableError` if it only could not be read this time."""
    line = one_line(error)
    if isinstance(error, OSError) and (error.errno is not None or isinstance(error, TimeoutError)):
        return UnreadableError(f"{path}: cannot be read now ({line}); run the same command again")
    return CorpusError(f"{path}: {damage} ({line})")


def claim_id(location: str) -> str:
    """A random id kept at `location`, made at the first call."""
    known = read_json(location)
    if known is None:
        known = {"id": secrets.token_hex(4)}
        write_json(location, known)
    return str(known["id"])


def file_hashes(directory: Path) -> list[tuple[str, str]]:
    """(path in it, sha256 in hex) of every file of a model's directory but hidden ones and `.md`, in order of path.

    A file is read once a process as long as its path, size and time of change stay the same.
    """
    names = sorted(path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    names = [name for name in names if name.suffix != ".md" and not any(part.startswith(".") for part in name.parts)]
    stats = [(directory / name).stat() for name in names]
    return [
        (name.as_posix(), _file_hash(directory / name, stat.st_size, stat.st_mtime_ns))
        for name, stat in zip(names, stats, strict=True)
    ]


@lru_cache(maxsize=4096)
def _file_hash(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def absolute(path: str) -> str:
    """`path` as an absolute one; URLs and the empty string stay as they are."""
    return path if not path or "://" in path else os.path.abspath(os.path.expanduser(path))
