"""Writes the sample corpus: one Parquet a language, and the ids of the dev items."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from hbt_ray.corpus.sample.choose import sample_rows
from hbt_ray.corpus.sample.templates import PHRASINGS
from hbt_ray.errors import ConfigError

SAMPLE_LANGS: Final[tuple[str, ...]] = tuple(PHRASINGS)
"""The languages that the sample can be written in."""

_SCHEMA: Final = pa.schema(
    [(column, pa.string()) for column in ("id", "source", "lang", "question", "passage", "answer")]
)


@dataclass(frozen=True, kw_only=True)
class SampleInfo:
    """What was written."""

    directory: Path
    """Holds `<lang>.parquet` for every language, and `dev_ids.txt`."""

    langs: tuple[str, ...]
    """Languages, each with all the items."""

    num_items: int
    """Items, train and dev together; as many rows in every language."""

    num_dev: int
    """Dev items among them."""

    num_items_of_source: Mapping[str, int]
    """Relation -> items."""


def write_sample(directory: Path, *, langs: Sequence[str] = SAMPLE_LANGS) -> SampleInfo:
    """Write `<lang>.parquet` for every language and `dev_ids.txt` (one id a line) into `directory`.

    The Parquet columns are strings: id, source, lang, question, passage, answer. Rows with one id are one item
    in several languages; every item is there in every language, and the items do not depend on `langs`. Train
    and dev items share no entity: see `choose`. Raises `ConfigError` for a language without phrasings.
    """
    unknown = [lang for lang in langs if lang not in PHRASINGS]
    if unknown or not langs or len(set(langs)) < len(langs):
        raise ConfigError(
            f"langs = {list(langs)} cannot be written: the sample has {', '.join(SAMPLE_LANGS)}; "
            + (f"leave out {', '.join(unknown)}" if unknown else "name one or more of them, each once")
        )
    items, dev_ids = sample_rows()
    directory.mkdir(parents=True, exist_ok=True)
    for lang in langs:
        table = pa.Table.from_pylist([rows[lang] for rows in items], schema=_SCHEMA)
        pq.write_table(table, directory / f"{lang}.parquet")
    (directory / "dev_ids.txt").write_text("".join(f"{item_id}\n" for item_id in sorted(dev_ids)), encoding="utf-8")
    return SampleInfo(
        directory=directory,
        langs=tuple(langs),
        num_items=len(items),
        num_dev=len(dev_ids),
        num_items_of_source=dict(Counter(rows["en"]["source"] for rows in items)),
    )
