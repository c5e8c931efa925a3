"""Finished work is not repeated: a directory of files, each the result of one task, written whole or not at all.

A job that was killed lists the names that are there and does the rest. Names say which work it was: a number, or a
digest of what it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from hbt_ray.storage import open_fs, read_json, url_of, write_whole

MADE_FROM = "made_from.json"
READERS = 8
Content = TypeVar("Content")


@dataclass(frozen=True)
class FinishedFiles:
    """Files of one suffix in a directory (local or URL) that all nodes and any number of writers share."""

    directory: str
    suffix: str

    def names(self) -> list[str]:
        """Names of the whole files, sorted."""
        fs, path = open_fs(self.directory)
        if not fs.isdir(path):
            return []
        fs.invalidate_cache(path)
        names = (place.rsplit("/", 1)[-1] for place in fs.ls(path, detail=False))
        return sorted(name for name in names if name.endswith(self.suffix) and not name.startswith("."))

    def write(self, name: str, data: bytes) -> None:
        """Write a file; on return readers find it."""
        write_whole(f"{self.directory}/{name}", data)

    def read(
        self, names: Iterable[str], how: Callable[[Any, str], Content] = lambda fs, path: fs.cat_file(path)
    ) -> list[Content]:
        """Contents in the order of `names`, several read at once; `how` is given the file system and a path.

        Raises:
            FileNotFoundError: one of them is not there.
        """
        fs, path = open_fs(self.directory)
        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(lambda name: how(fs, f"{path}/{name}"), names))

    def remove(self, name: str) -> None:
        """Remove a file."""
        fs, path = open_fs(self.directory)
        fs.rm_file(f"{path}/{name}")

    def remove_parts(self) -> None:
        """Remove what killed writers left."""
        fs, path = open_fs(self.directory)
        for part in fs.ls(path, detail=False) if fs.isdir(path) else ():
            if part.endswith(".part"):
                fs.rm_file(part)


def made_otherwise(root: str, name: str, file: str, made_from: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """(directory, what differs) of the directories `name-*` in `root` that were made from something else.

    Each says in the JSON `file` what it was `made_from`.
    """
    fs, path = open_fs(root)
    others = []
    for directory in sorted(fs.ls(path, detail=False)) if fs.isdir(path) else ():
        if not directory.rstrip("/").rsplit("/", 1)[-1].startswith(f"{name}-"):
            continue
        theirs = (read_json(f"{url_of(fs, directory)}/{file}") or {}).get("made_from")
        changed = [key for key, value in made_from.items() if theirs.get(key) != value] if theirs else []
        if changed:
            others.append((directory, changed))
    return others
