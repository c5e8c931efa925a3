"""`source:NAME` as an input: its units, and the long-form rows of a unit.

source:squad                        fetched once into the Hugging Face cache
source:mmarco?langs=en+de&rows=1000 two languages, the first thousand rows of each
source:mr_tydi:/data/mr_tydi        a copy: DIRECTORY/<configuration> as `save_to_disk` writes them

Ids are `NAME:id`, or `NAME:lang:id` in sets whose languages are not translations of each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa

from hbt_ray.corpus.readers import units
from hbt_ray.corpus.readers.hf import load_hf
from hbt_ray.corpus.readers.units import Unit
from hbt_ray.corpus.sources.names import SOURCES
from hbt_ray.corpus.sources.source import Source
from hbt_ray.errors import CorpusError, one_line
from hbt_ray.languages import canonical_lang

SOURCE = "source:"
OPTIONS = ("langs", "rows", "split")
READ_ROWS = 256
"""Rows of the set in memory at once: a page of a FAQ or a question with its negatives can be long."""


def source_units(name: str, options: Mapping[str, str]) -> tuple[list[str], list[Unit]]:
    """Files and units of `NAME` or `NAME:DIRECTORY`.

    Raises:
        CorpusError: unknown name, language or option, or the set cannot be had.
    """
    name, _, directory = name.partition(":")
    source = _known(name)
    unknown = [option for option in options if option not in OPTIONS]
    if unknown:
        raise CorpusError(f"source:{name} has the option {unknown[0]!r}; it takes {', '.join(OPTIONS)}")
    rows = options.get("rows", "")
    if rows and not (rows.isdecimal() and int(rows)):
        raise CorpusError(f"source:{name}: rows={rows!r} is not a number above 0")
    split = options.get("split", source.split)
    files: list[str] = []
    found: list[Unit] = []
    for lang in _langs(source, options.get("langs", "")):
        dataset = _load(name, source.configs[lang], directory, split)
        num_rows = min(dataset.num_rows, int(rows)) if rows else dataset.num_rows
        size = max(1, num_rows) if source.whole else units.ROWS_A_UNIT
        files += [file["filename"] for file in dataset.cache_files]
        for start in range(0, num_rows, size):
            stop = min(start + size, num_rows)
            found.append(Unit("source", name, start, stop, (lang, directory, split)))
    return files, found


def read_source(unit: Unit) -> Iterator[pa.Table]:
    """Long-form tables of some hundreds of rows of the set."""
    source = _known(unit.path)
    lang, directory, split = unit.columns
    dataset = _load(source.name, source.configs[lang], directory, split)
    size = unit.stop - unit.start if source.whole else READ_ROWS
    for start in range(unit.start, unit.stop, max(1, size)):
        rows = dataset.select(range(start, min(start + size, unit.stop))).to_list()
        try:
            items = list(source.items(rows, start))
        except (AttributeError, KeyError, TypeError) as error:
            raise CorpusError(
                f"source:{source.name} rows {start}-{start + len(rows) - 1} are not as its entry says ({error!r}); "
                f"columns: {', '.join(dataset.column_names)}"
            ) from None
        if items:
            yield _table(items, source, lang)


def source_identity(location: str) -> str:
    """What stands for `source:NAME...` in fingerprints: it, and how its items are named where that is by language."""
    name = location.removeprefix(SOURCE).partition("?")[0].partition(":")[0]
    return f"{location} id=lang" if _by_lang(_known(name)) else location


def _by_lang(source: Source) -> bool:
    """Whether the same id in two languages is two items."""
    return len(source.configs) > 1 and not source.parallel


def _table(items: list[dict[str, Any]], source: Source, lang: str) -> pa.Table:
    scope = f"{source.name}:{lang}" if _by_lang(source) else source.name
    columns: dict[str, pa.Array] = {
        "id": pa.array([f"{scope}:{item['id']}" for item in items], pa.string()),
        "lang": pa.array([lang] * len(items), pa.string()),
        "source": pa.array([source.name] * len(items), pa.string()),
    }
    for column in ("question", "passage"):
        columns[column] = pa.array([item[column] for item in items], pa.string())
    if any("negatives" in item for item in items):
        columns["negatives"] = pa.array([item.get("negatives") for item in items], pa.list_(pa.string()))
    return pa.table(columns)


def _known(name: str) -> Source:
    if name not in SOURCES:
        raise CorpusError(f"source:{name} is not known; there are {', '.join(sorted(SOURCES))}")
    return SOURCES[name]


def _langs(source: Source, chosen: str) -> list[str]:
    """The languages of `langs=en+de`, or all."""
    langs = [canonical_lang(code) for code in chosen.replace("+", " ").split()] or list(source.configs)
    missing = [lang for lang in langs if lang not in source.configs]
    if missing:
        raise CorpusError(f"source:{source.name} has no {', '.join(missing)}; it has {', '.join(source.configs)}")
    return langs


@lru_cache(maxsize=32)
def _load(name: str, config: str, directory: str, split: str) -> Any:
    source = SOURCES[name]
    if directory:
        own = os.path.join(directory, config)
        root = own if os.path.isdir(own) else directory
        if root is directory and len(source.configs) > 1:
            raise CorpusError(f"source:{name}:{directory} has no directory {config}")
        return load_hf(root, split)
    if not source.hub:
        raise CorpusError(f"source:{name} is not on the hub; give its directory: source:{name}:DIRECTORY")
    import datasets

    try:
        return datasets.load_dataset(source.hub, config, split=split, revision=source.revision)
    except Exception as error:  # the library and its HTTP client raise many kinds
        raise CorpusError(
            f"source:{name}: {source.hub} ({config}, {split}) cannot be loaded from the Hugging Face hub "
            f"({type(error).__name__}: {one_line(error)}); go online, or save it where you are "
            f"(datasets.load_dataset(...).save_to_disk) and give the directory: source:{name}:DIRECTORY"
        ) from None
