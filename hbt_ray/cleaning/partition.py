"""Cleaning one partition: rules, contamination, and sketches for duplicates, a few thousand rows at a time."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hbt_ray.cleaning.contamination import KnownTexts, overlap
from hbt_ray.cleaning.counts import CleanCounts, item_starts
from hbt_ray.cleaning.rules import Judgement, judge
from hbt_ray.cleaning.sketches import sketches, within
from hbt_ray.cluster.tasks import Shared
from hbt_ray.config.clean import CleanConfig
from hbt_ray.corpus.grouping import Load
from hbt_ray.corpus.rows import SCHEMA
from hbt_ray.corpus.shards import PartitionStats, drop_problems, text_hash
from hbt_ray.storage import write_whole

CHUNK_ROWS = 8192
KEPT = pa.schema([SCHEMA.field(name) for name in ("id", "lang", "source", "question", "passage", "weight")])
REJECTED = pa.schema(
    {
        "id": pa.string(),
        "lang": pa.string(),
        "source": pa.string(),
        "reason": pa.string(),
        "value": pa.float64(),
        "question": pa.string(),
        "passage": pa.string(),
        "other_id": pa.string(),
        "other_question": pa.string(),
        "other_passage": pa.string(),
    }
)
"""`other_*` is the row it was compared with: the row of its item in the reference language, or for a duplicate the item
that is kept."""
SAME_QUESTION, SHARED_RUN = "same question", "shared run"


@dataclass(frozen=True)
class CleanJob:
    """Settings of a task that cleans one partition."""

    config: CleanConfig
    directory: str
    known: Shared | None
    """The list of `KnownTexts`; None without any."""


def clean_partition(load: Load, part: int, job: CleanJob) -> tuple[int, int, CleanCounts]:
    """Write the kept and the rejected rows of a partition; returns its number, its items to compare, and counts."""
    unusable = PartitionStats()
    table = drop_problems(load(), unusable)
    counts = CleanCounts(unusable=unusable.skipped)
    has_negatives = table.num_rows > 0 and table["negatives"].null_count < table.num_rows
    schema = KEPT.append(SCHEMA.field("negatives")) if has_negatives else KEPT
    known: list[KnownTexts] = job.known.get() if job.known else []
    kept, rejected = PartWriter(schema), PartWriter(REJECTED)
    firsts: list[pa.Table] = []
    sketched: list[tuple[np.ndarray, np.ndarray]] = []
    for chunk in whole_items(table, CHUNK_ROWS):
        judgement = judge(chunk, job.config)
        check_against(chunk, judgement, known, job.config, counts)
        good = pa.array(judgement.reasons == "")
        out = np.flatnonzero(judgement.reasons != "")
        others = chunk.take(pa.array(judgement.originals[out], mask=judgement.originals[out] < 0))
        rows = chunk.take(pa.array(out))
        rejected.write(rejected_rows(rows, judgement.reasons[out].tolist(), judgement.values[out], others))
        left = chunk.select(schema.names).filter(good)
        kept.write(left)
        _count(chunk, judgement, counts)
        if job.config.duplicates and left.num_rows:
            one = first_rows(left, job.config.reference_lang)
            sketch, keys = sketches(*(one[name].to_pylist() for name in ("question", "passage", "lang")))
            sketched.append((sketch, within(keys, language_sets(left))))
            firsts.append(one)
    kept.save(f"{job.directory}/kept/part-{part:05d}.parquet")
    rejected.save(f"{job.directory}/rejected/part-{part:05d}.parquet")
    num_items = sum(one.num_rows for one in firsts)
    if num_items:
        work = f"{job.directory}/.work/{part:05d}"
        write_whole(f"{work}.sketch", np.concatenate([sketch for sketch, _ in sketched]).tobytes())
        write_whole(
            f"{work}.bands", np.concatenate([keys for _, keys in sketched]).T.tobytes()
        )  # a band after the other
        buffer = io.BytesIO()
        pq.write_table(pa.concat_tables(firsts), buffer, compression="zstd")
        write_whole(f"{work}.parquet", buffer.getvalue())
    return part, num_items, counts


def whole_items(table: pa.Table, num_rows: int) -> Iterator[pa.Table]:
    """Slices of about `num_rows` rows that end where items end."""
    starts = item_starts(table["id"])
    begin = 0
    while begin < table.num_rows:
        after = np.searchsorted(starts, begin + num_rows)
        end = int(starts[after]) if after < len(starts) else table.num_rows
        yield table.slice(begin, end - begin).combine_chunks()
        begin = end


def check_against(
    chunk: pa.Table, judgement: Judgement, known: list[KnownTexts], config: CleanConfig, counts: CleanCounts
) -> None:
    """Count rows that share something with a set, and reject their items in all languages where that is asked for."""
    if not known:
        return
    langs = chunk["lang"].to_pylist()
    questions, passages, negatives = (chunk[name].to_pylist() for name in ("question", "passage", "negatives"))
    ids = np.asarray(chunk["id"].to_numpy(zero_copy_only=False), object)
    judged = judgement.reasons == ""
    for texts in known:
        shared = overlap(questions, passages, langs, texts, config, negatives)
        kinds = counts.contamination.setdefault(texts.name, {SAME_QUESTION: Counter(), SHARED_RUN: Counter()})
        for kind, hit in ((SAME_QUESTION, shared.same_question), (SHARED_RUN, shared.shared_runs > 0)):
            rows = np.flatnonzero(hit & judged)
            kinds[kind].update(langs[row] for row in rows)
            if config.contamination == "remove" and len(rows):
                items = np.isin(ids, np.unique(ids[rows]))
                judgement.reject(items, f"contamination: {kind} with {texts.name}", shared.shared_runs.astype(float))


def rejected_rows(rows: pa.Table, reasons: list[str], values: Any, others: pa.Table) -> pa.Table:
    """Rejected rows [n] in the schema of the side table, each with its reason, value, and what it was compared with."""
    columns = {
        **{name: rows[name] for name in ("id", "lang", "source", "question", "passage")},
        **{f"other_{name}": others[name] for name in ("id", "question", "passage")},
        "reason": pa.array(reasons, pa.string()),
        "value": pa.array(values, pa.float64()),
    }
    return pa.table({name: columns[name] for name in REJECTED.names}, schema=REJECTED)


def first_rows(rows: pa.Table, reference: str) -> pa.Table:
    """`id, lang, question, passage` of one row of each item: that in the reference language, else its first."""
    chosen = item_starts(rows["id"])
    lang = np.asarray(rows["lang"].to_numpy(zero_copy_only=False), object)
    preferred = np.flatnonzero(lang == reference)
    chosen[np.searchsorted(chosen, preferred, side="right") - 1] = preferred
    return rows.select(["id", "lang", "question", "passage"]).take(pa.array(chosen))


def language_sets(rows: pa.Table) -> np.ndarray:
    """uint64 [items]: a hash of the languages of each item; what only one of two items has must not be lost."""
    langs = rows["lang"].to_pylist()
    starts = item_starts(rows["id"]).tolist()
    ends = [*starts[1:], len(langs)]
    names = [" ".join(sorted(langs[start:stop])) for start, stop in zip(starts, ends, strict=True)]
    return np.array([text_hash(langs) for langs in names], np.uint64)


class PartWriter:
    """One Parquet file, compressed in memory as tables come."""

    def __init__(self, schema: pa.Schema) -> None:
        self._buffer = io.BytesIO()
        self._writer = pq.ParquetWriter(self._buffer, schema, compression="zstd")
        self._rows = 0

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._rows += table.num_rows
        if table.num_rows:
            self._writer.write_table(table)

    def save(self, location: str) -> None:
        """Write the file; none where there are no rows."""
        self._writer.close()
        if self._rows:
            write_whole(location, self._buffer.getvalue())


def _count(chunk: pa.Table, judgement: Judgement, counts: CleanCounts) -> None:
    counts.items += len(item_starts(chunk["id"]))
    langs = chunk["lang"].to_pylist()
    counts.rows.update(langs)
    for reason, lang in zip(judgement.reasons.tolist(), langs, strict=True):
        if reason:
            counts.reject(reason, [lang])
    counts.kept.count_rows(chunk.filter(pa.array(judgement.reasons == "")))
