"""What lies beside the files of an input: ids of dev items, licences."""

from __future__ import annotations

from hbt_ray.corpus.inputs import split_inputs, split_options
from hbt_ray.corpus.sources.reader import SOURCE
from hbt_ray.storage import open_fs

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


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
