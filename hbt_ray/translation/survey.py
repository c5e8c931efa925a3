"""What there is to translate: every unit is read once, its chunks named and counted, before anything starts."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    """What was found, in one unit or in all."""

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
    """What decides the shards' names: the settings as `made_from`, and for each target language its model."""

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
    found = Survey()
    for at, table in enumerate(chunks(read_unit(unit), wanted.num_rows)):
        _count(table, wanted, found)
        name = f"{number:05d}-{at:05d}-"
        digest = digest_of(rows_digest(table), ORIGINAL)
        found.chunks.append(Chunk(number, at, ORIGINAL, f"{name}{digest}.parquet", table.num_rows, 0))
        usable = to_translate(table, wanted.source_lang)
        all_rows = (usable, rows_digest(usable), num_chars(usable, wanted.negatives))
        for lang, model in wanted.models.items():
            rows, digest, chars = all_rows
            if lang in known:
                rows = without(usable, known[lang])
                digest, chars = rows_digest(rows), num_chars(rows, wanted.negatives)
            if rows.num_rows:
                digest = digest_of(digest, wanted.settings, wanted.source_lang, model, lang)
                found.chunks.append(Chunk(number, at, lang, f"{name}{digest}.parquet", rows.num_rows, chars))
    return found


def survey(units: Iterable[Unit], wanted: Wanted, *, num_at_once: int = 2) -> Survey:
    """Read all units with Ray tasks; a second time where the input has rows in a target language already."""
    units = list(units)
    total = _read_all(units, wanted, {}, num_at_once)
    if total.known:
        again = _read_all(units, wanted, total.known, num_at_once)
        total.chunks = again.chunks
    return total


def _read_all(units: list[Unit], wanted: Wanted, known: Known, num_at_once: int) -> Survey:
    import ray

    from hbt_ray.cluster.connect import quiet_data_context
    from hbt_ray.cluster.remote_errors import unwrapped

    quiet_data_context()
    # A reference within a tuple: the set may have gigabytes, and is fetched once a node.
    reference = (ray.put(known),)
    items = [{"number": number, "unit": pack_unit(unit)} for number, unit in enumerate(units)]
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _survey_task, batch_size=1, num_cpus=0, concurrency=min(num_at_once, len(items)), fn_args=(wanted, reference)
    )
    total = Survey()
    found: dict[int, Survey] = {}
    with unwrapped():
        for row in dataset.iter_rows():
            found[row["number"]] = from_json(row["found"], row["known"])
    for number in sorted(found):
        total.add(found[number])
    return total


def _survey_task(batch: dict[str, Any], wanted: Wanted, reference: tuple[Any]) -> Iterator[pa.Table]:
    import ray

    known = ray.get(reference[0])
    for number, unit in zip(batch["number"].tolist(), batch["unit"].tolist(), strict=True):
        found = survey_unit(number, unpack_unit(unit), wanted, known)
        text, hashes = to_json(found)
        yield pa.table({"number": [number], "found": [text], "known": pa.array([hashes], pa.binary())})


def pack_unit(unit: Unit) -> str:
    """A unit as text, which Ray Data's rows can hold."""
    return json.dumps(dataclasses.asdict(unit))


def unpack_unit(text: str) -> Unit:
    """Inverse of `pack_unit`."""
    tree = json.loads(text)
    return Unit(**{**tree, "columns": tuple(tree["columns"])})


def to_json(found: Survey) -> tuple[str, bytes]:
    """A survey as text, and its hashes as bytes in the order of `known` there."""
    tree = {
        "chunks": [vars(chunk) for chunk in found.chunks],
        "langs": found.langs,
        "problems": found.problems,
        "examples": found.examples,
        "known": {lang: len(hashes) for lang, hashes in found.known.items()},
    }
    return json.dumps(tree), b"".join(hashes.tobytes() for hashes in found.known.values())


def from_json(text: str, hashes: bytes) -> Survey:
    """Inverse of `to_json`."""
    tree = json.loads(text)
    parts = np.split(np.frombuffer(hashes, np.uint64), np.cumsum(list(tree["known"].values()))[:-1])
    return Survey(
        chunks=[Chunk(**chunk) for chunk in tree["chunks"]],
        langs=Counter(tree["langs"]),
        problems=Counter(tree["problems"]),
        examples=tree["examples"],
        known=dict(zip(tree["known"], parts, strict=False)),
    )


def _count(table: pa.Table, wanted: Wanted, found: Survey) -> None:
    """Languages, problems, and items that are there in a target language, of one chunk."""
    checked = check_rows(table)
    bad = checked.filter(pc.is_valid(checked["problem"]))
    for entry in pc.value_counts(bad["problem"]).to_pylist():
        found.problems[entry["values"]] += entry["counts"]
        first = bad.filter(pc.equal(bad["problem"], entry["values"])).slice(0, 1).to_pylist()[0]
        found.examples.setdefault(entry["values"], f"id {first['id']}, lang {first['lang']}")
    good = checked.filter(pc.is_null(checked["problem"]))
    for entry in pc.value_counts(good["lang"]).to_pylist():
        found.langs[entry["values"]] += entry["counts"]
        if entry["values"] in wanted.models:
            hashes = id_hashes(good.filter(pc.equal(good["lang"], entry["values"]))["id"])
            known = found.known.get(entry["values"], hashes)
            found.known[entry["values"]] = np.union1d(known, hashes)
