"""The work of a translation: every unit is read once, its chunks named and counted, before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hbt_ray.cluster import tasks
from hbt_ray.corpus.inputs import read_unit
from hbt_ray.corpus.readers.units import Unit
from hbt_ray.corpus.rows import check_rows
from hbt_ray.translation.pending import (
    HashArray,
    chunks,
    digest_of,
    id_hashes,
    num_chars,
    rows_digest,
    to_translate,
    without,
)
from hbt_ray.translation.store import ORIGINAL

READERS = 2
"""Units that are read at the same time; reading is far faster than translating."""
Known = dict[str, HashArray]
"""Target language -> items that the input has in it already."""


@dataclass(frozen=True)
class Chunk:
    """Rows of one chunk of a unit that become one shard; `lang` is ORIGINAL for the rows as they are."""

    unit: int
    number: int
    lang: str
    name: str
    num_rows: int
    num_chars: int


@dataclass
class Survey:
    """Of one unit, or of all."""

    chunks: list[Chunk] = field(default_factory=list)
    langs: Counter[str] = field(default_factory=Counter)
    """Usable rows by language."""
    problems: Counter[str] = field(default_factory=Counter)
    """Rows that cannot be used, by reason."""
    examples: dict[str, str] = field(default_factory=dict)
    known: Known = field(default_factory=dict)

    def add(self, other: Survey) -> None:
        """Fold the survey of another unit into this one."""
        self.chunks += other.chunks
        self.langs.update(other.langs)
        self.problems.update(other.problems)
        for name, text in other.examples.items():
            self.examples.setdefault(name, text)
        for lang, hashes in other.known.items():
            self.known[lang] = np.union1d(self.known.get(lang, hashes), hashes)


@dataclass(frozen=True)
class Wanted:
    """Everything that decides the names of shards: settings, and for each target language its model."""

    source_lang: str
    models: dict[str, str]
    """Target language -> fingerprint of its model."""
    settings: str
    """Identifies engine and settings."""
    num_rows: int
    """Of a chunk."""
    negatives: bool


def survey_unit(number: int, unit: Unit, wanted: Wanted, known: Known) -> Survey:
    """Read one unit; `known` leaves out items that the input has in a target language."""
    part = Survey()
    for place, table in enumerate(chunks(read_unit(unit), wanted.num_rows)):
        _count(table, wanted, part)
        name = f"{number:05d}-{place:05d}-"
        digest = digest_of(rows_digest(table), ORIGINAL)
        part.chunks.append(Chunk(number, place, ORIGINAL, f"{name}{digest}.parquet", table.num_rows, 0))
        usable = to_translate(table, wanted.source_lang)
        all_rows = (usable, rows_digest(usable), num_chars(usable, wanted.negatives))
        for lang, model in wanted.models.items():
            rows, digest, chars = all_rows
            if lang in known:
                rows = without(usable, known[lang])
                digest, chars = rows_digest(rows), num_chars(rows, wanted.negatives)
            if rows.num_rows:
                digest = digest_of(digest, wanted.settings, wanted.source_lang, model, lang)
                part.chunks.append(Chunk(number, place, lang, f"{name}{digest}.parquet", rows.num_rows, chars))
    return part


def survey(units: Sequence[Unit], wanted: Wanted) -> Survey:
    """Read all units with tasks; a second time where the input has rows in a target language already."""
    total = _read_all(units, wanted, {})
    if total.known:
        total.chunks = _read_all(units, wanted, total.known).chunks
    return total


def _read_all(units: Sequence[Unit], wanted: Wanted, known: Known) -> Survey:
    args = (wanted, tasks.Shared(known))  # hashes of all items may have gigabytes
    readers = tasks.Stage(work=_survey_task, args=args, num_cpus=0, num_at_once=min(READERS, len(units)))
    total = Survey()
    for part in tasks.stream(list(enumerate(units)), readers, what="reading what there is to translate"):
        total.add(part)
    return total


def _survey_task(item: tuple[int, Unit], wanted: Wanted, known: tasks.Shared) -> Iterator[Survey]:
    number, unit = item
    yield survey_unit(number, unit, wanted, known.get())


def _count(table: pa.Table, wanted: Wanted, part: Survey) -> None:
    """Languages, problems, and items that are there in a target language, of one chunk."""
    checked = check_rows(table)
    bad = checked.filter(pc.is_valid(checked["problem"]))
    for entry in pc.value_counts(bad["problem"]).to_pylist():
        part.problems[entry["values"]] += entry["counts"]
        first = bad.filter(pc.equal(bad["problem"], entry["values"])).slice(0, 1).to_pylist()[0]
        part.examples.setdefault(entry["values"], f"id {first['id']}, lang {first['lang']}")
    good = checked.filter(pc.is_null(checked["problem"]))
    for entry in pc.value_counts(good["lang"]).to_pylist():
        part.langs[entry["values"]] += entry["counts"]
        if entry["values"] in wanted.models:
            hashes = id_hashes(good.filter(pc.equal(good["lang"], entry["values"]))["id"])
            known = part.known.get(entry["values"], hashes)
            part.known[entry["values"]] = np.union1d(known, hashes)
