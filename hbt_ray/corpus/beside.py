"""What lies beside the files of an input, and beside what is made of them: ids of dev items, licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hbt_ray.corpus.inputs import split_inputs, split_options
from hbt_ray.corpus.sources import SOURCE
from hbt_ray.errors import CorpusError
from hbt_ray.storage import open_fs, read_json, write_json, write_whole

DEV_IDS, LICENCES = "dev_ids.txt", "licences.json"


def files_beside(location: str, name: str) -> list[str]:
    """Where files of this name lie: in the directories that an input names, and beside its files and globs.

    Args:
        location: as in `corpus.input`: one input or several, local or URLs; named sources have nothing beside them.
        name: `DEV_IDS` or `LICENCES`.
    """
    found: list[str] = []
    for part in split_inputs(location):
        if part.startswith(SOURCE):
            continue
        fs, path = open_fs(split_options(part)[0])
        if any(c in path for c in "*?["):
            places = sorted({_parent(match) for match in fs.glob(path)})
        else:
            places = [path.rstrip("/") if fs.isdir(path) else _parent(path)]
        for file in (f"{place}/{name}" for place in places):
            if fs.isfile(file):
                found.append(file if "://" not in part else str(fs.unstrip_protocol(file)))
    return list(dict.fromkeys(found))


def stated_licences(location: str) -> dict[str, str]:
    """Source -> licence, of every `licences.json` beside the files of an input.

    Raises:
        CorpusError: one holds something else.
    """
    found: dict[str, str] = {}
    for place in files_beside(location, LICENCES):
        for source, licence in (read_json(place) or {}).items():
            if not isinstance(licence, str):
                raise CorpusError(f"{place}: the licence of {source} is not a text")
            found[source] = licence
    return found


def read_ids(files: Sequence[str]) -> frozenset[str]:
    """The ids that files of dev items name, one a line.

    Raises:
        CorpusError: a file is not there, or names no item.
    """
    ids: set[str] = set()
    for place in files:
        fs, path = open_fs(place)
        if not fs.isfile(path):
            raise CorpusError(
                f"corpus.dev_ids={place!r} is not a file; give a file with one item id a line, or leave it out"
            )
        named = {line.strip() for line in fs.cat_file(path).decode().splitlines()} - {""}
        if not named:
            raise CorpusError(f"corpus.dev_ids={place!r} names no item; leave it out to use corpus.dev_share")
        ids |= named
    return frozenset(ids)


def write_ids(location: str, ids: frozenset[str]) -> None:
    """Write a file of dev items, sorted."""
    write_whole(location, "".join(f"{id_}\n" for id_ in sorted(ids)).encode())


def write_beside(directory: str, dev_ids: frozenset[str], licences: Mapping[str, str]) -> None:
    """Write what lay beside an input beside the rows that were made of it, for the jobs that follow."""
    if licences:
        write_json(f"{directory}/{LICENCES}", dict(sorted(licences.items())))
    if dev_ids:
        write_ids(f"{directory}/{DEV_IDS}", dev_ids)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
