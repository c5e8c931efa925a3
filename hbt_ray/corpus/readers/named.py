"""Long-form rows of `source:NAME`, a public set (`hbt_ray.corpus.sources`).

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
from hbt_ray.corpus.rows import SCHEMA
from hbt_ray.corpus.sources import SOURCES, Source
from hbt_ray.errors import CorpusError, one_line
from hbt_ray.languages import canonical_lang

OPTIONS = ("langs", "rows", "split")
READ_ROWS = 256
"""Rows of the set in memory at once: a page of a FAQ or a question with its negatives can be long."""


def named_units(location: str, options: Mapping[str, str]) -> tuple[list[str], list[Unit]]:
    """Files and units of `NAME` or `NAME:DIRECTORY`.

    Raises:
        CorpusError: unknown name, language or option, or the set cannot be loaded.
    """
    name, _, directory = location.partition(":")
    source = known_source(name)
    unknown = [option for option in options if option not in OPTIONS]
    if unknown:
        raise CorpusError(f"source:{name} has the option {unknown[0]!r}; it takes {', '.join(OPTIONS)}")
    rows = options.get("rows", "")
    if rows and not (rows.isdecimal() and int(rows)):
        raise CorpusError(f"source:{name}: rows={rows!r} is not a number above 0")
    langs = [canonical_lang(code) for code in options.get("langs", "").replace("+", " ").split()]
    missing = [lang for lang in langs if lang not in source.configs]
    if missing:
        raise CorpusError(f"source:{name} has no {', '.join(missing)}; it has {', '.join(source.configs)}")
    split = options.get("split", "train")
    files: list[str] = []
    parts: list[Unit] = []
    for lang in langs or source.configs:
        dataset = _load(name, source.configs[lang], directory, split)
        num_rows = min(dataset.num_rows, int(rows)) if rows else dataset.num_rows
        size = max(1, num_rows) if source.whole else units.ROWS_A_UNIT
        files += [file["filename"] for file in dataset.cache_files]
        parts += units.row_units("source", name, num_rows, size, (lang, directory, split))
    return files, parts


def read_named(unit: Unit) -> Iterator[pa.Table]:
    """Long-form tables of some hundreds of rows of the set."""
    source = SOURCES[unit.path]
    lang, directory, split = unit.columns
    dataset = _load(unit.path, source.configs[lang], directory, split)
    size = max(1, unit.stop - unit.start) if source.whole else READ_ROWS
    for start in range(unit.start, unit.stop, size):
        rows = dataset.select(range(start, min(start + size, unit.stop))).to_list()
        try:
            items = list(source.items(rows, start))
        except (AttributeError, KeyError, TypeError) as error:
            raise CorpusError(
                f"source:{unit.path} rows {start}-{start + len(rows) - 1} are not as its entry says ({error!r}); "
                f"columns: {', '.join(dataset.column_names)}"
            ) from None
        if items:
            yield _table(items, unit.path, lang, source.by_lang)


def known_source(name: str) -> Source:
    """The entry of a name.

    Raises:
        CorpusError: there is none.
    """
    if name not in SOURCES:
        raise CorpusError(f"source:{name} is not known; there are {', '.join(sorted(SOURCES))}")
    return SOURCES[name]


def _table(items: list[dict[str, Any]], name: str, lang: str, by_lang: bool) -> pa.Table:
    scope = f"{name}:{lang}" if by_lang else name
    rows = [{**item, "id": f"{scope}:{item['id']}", "lang": lang, "source": name} for item in items]
    columns = [SCHEMA.field(column) for column in ("id", "lang", "source", "question", "passage")]
    if any("negatives" in item for item in items):
        columns.append(SCHEMA.field("negatives"))
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))


@lru_cache(maxsize=32)
def _load(name: str, config: str, directory: str, split: str) -> Any:
    source = SOURCES[name]
    if directory:
        copy = os.path.join(directory, config)
        if os.path.isdir(copy):
            return load_hf(copy, split)
        if len(source.configs) > 1:
            raise CorpusError(f"source:{name}:{directory} has no directory {config}")
        return load_hf(directory, split)
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
