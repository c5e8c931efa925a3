"""The files beside an input, and beside the rows made of it: ids of dev items, licences."""

from __future__ import annotations

from collections.abc import Mapping

from hbt_ray.corpus.inputs import find_glob, is_glob, split_inputs, split_options
from hbt_ray.corpus.sources import SOURCE
from hbt_ray.errors import CorpusError
from hbt_ray.reading.columns import id_of
from hbt_ray.reading.lines import text_lines
from hbt_ray.storage import open_fs, read_json, write_json, write_whole

DEV_IDS, LICENCES = "dev_ids.txt", "licences.json"


def files_beside(location: str, name: str) -> list[str]:
    """Where files of this name lie: in the directories that `corpus.input` names, and beside its files and globs.

    Named sources have nothing beside them.
    """
    files: list[str] = []
    for part in split_inputs(location):
        if part.startswith(SOURCE):
            continue
        fs, path = open_fs(split_options(part)[0])
        if is_glob(fs, path):
            directories = sorted({_parent(match) for match in find_glob(fs, path)})
        else:
            directories = [path.rstrip("/") if fs.isdir(path) else _parent(path)]
        places = [f"{directory}/{name}" for directory in directories if fs.isfile(f"{directory}/{name}")]
        files += [str(fs.unstrip_protocol(place)) if "://" in part else place for place in places]
    return list(dict.fromkeys(files))


def stated_licences(location: str) -> dict[str, str]:
    """Source -> licence, of every `licences.json` beside the files of an input.

    Raises:
        CorpusError: one holds something else.
    """
    licences: dict[str, str] = {}
    for file in files_beside(location, LICENCES):
        for source, licence in (read_json(file) or {}).items():
            if not isinstance(licence, str):
                raise CorpusError(f"{file}: the licence of {source} is not a text")
            licences[source] = licence
    return licences


def read_ids(location: str) -> frozenset[str]:
    """The ids that a file of dev items names, one a line, or several files by commas; none if `location` is empty.

    Raises:
        CorpusError: a file is not there, is not in UTF-8, or names no item.
    """
    ids: set[str] = set()
    for file in split_inputs(location) if location else ():
        fs, path = open_fs(file)
        if not fs.isfile(path):
            raise CorpusError(
                f"corpus.dev_ids={file!r} is not a file; give a file with one item id a line, or leave it out"
            )
        named = {id_of(line) for _, line in text_lines(file)}
        if not named:
            raise CorpusError(f"corpus.dev_ids={file!r} names no item; leave it out to use corpus.dev_share")
        ids |= named
    return frozenset(ids)


def write_beside(directory: str, dev_ids: frozenset[str], licences: Mapping[str, str]) -> None:
    """Write the dev items and licences of an input beside the rows that were made of it, for the jobs that follow."""
    if licences:
        write_json(f"{directory}/{LICENCES}", dict(sorted(licences.items())))
    if dev_ids:
        write_whole(f"{directory}/{DEV_IDS}", "".join(f"{id_}\n" for id_ in sorted(dev_ids)).encode())


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
