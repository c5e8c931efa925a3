"""One partition of long rows becomes one shard: items in rows, all their languages in columns, tokenised.

Shard columns: `item_id`, `source`, `weight`, and per language `query_<lang>` and `passage_<lang>` (int32 token ids,
null where the item lacks the language) and `hash_<lang>` (64-bit hash of the passage text, so that equal passages
are never each other's negatives). With hard negatives, `negative_<lang>` holds their token ids (list of lists, read as
passages; null where the item lacks the language, empty where it has no negatives) and `negative_hash_<lang>` the
hashes of their texts. Rows are ordered by source, then by a hash of the id, and a row group holds one source only: the
batch plan shuffles and reads by row groups of a source.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hbt_ray.corpus.rows import DUPLICATE, TWO_SOURCES

ROW_GROUP_BYTES = 4 << 20
MIN_ROW_GROUP, MAX_ROW_GROUP = 64, 8192

Tokenise = Callable[[list[str], str], tuple[np.ndarray, np.ndarray]]
"""Texts and their role -> flat token ids and lengths."""


@dataclass
class PartitionStats:
    """Counts of one partition, added up by the driver."""

    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    query_tokens: dict[str, Counter[int]] = field(default_factory=dict)
    """Language -> histogram of token counts."""
    passage_tokens: dict[str, Counter[int]] = field(default_factory=dict)
    whole: dict[str, Counter[str]] = field(default_factory=dict)
    """Language -> `tokens`, `words` and `chars` of the texts that were not cut, prefix and special tokens left out."""

    def skip(self, problem: str, num: int, example: str) -> None:
        """Count `num` rows left out for `problem`, keeping the first example in order of text."""
        self.skipped[problem] += num
        self.examples[problem] = min(example, self.examples.get(problem, example))

    def add(self, other: PartitionStats) -> None:
        """Fold another partition's counts into these."""
        for problem, num in other.skipped.items():
            self.skip(problem, num, other.examples[problem])
        for name in ("query_tokens", "passage_tokens", "whole"):
            counts = getattr(self, name)
            for lang, more in getattr(other, name).items():
                counts.setdefault(lang, Counter()).update(more)


def drop_problems(table: pa.Table, stats: PartitionStats) -> pa.Table:
    """The good rows of a partition in a fixed order (source, hash of id, id, lang), one a (id, lang)."""
    bad = table.filter(pc.is_valid(table["problem"]))
    for problem in bad["problem"].unique().to_pylist():
        rows = bad.filter(pc.equal(bad["problem"], problem))
        where = pc.min(pc.binary_join_element_wise(rows["id"], rows["lang"], ", lang "))
        stats.skip(problem, rows.num_rows, f"id {where}")
    good = pc.is_null(table["problem"])
    if bad.num_rows:
        table = table.filter(good)
    if not table.num_rows:
        return table
    # Only keys are moved about, and the texts once in the end: they are most of the memory of a task.
    keys = table.select(["id", "lang", "source"])
    ids = keys["id"].combine_chunks().dictionary_encode()
    hashes = np.array([text_hash(name) for name in ids.dictionary.to_pylist()], np.uint64)[ids.indices.to_numpy()]
    order = [("hash", "ascending"), ("id", "ascending"), ("lang", "ascending"), ("source", "ascending")]
    table = table.append_column("hash", pa.array(hashes))
    keys = keys.append_column("hash", pa.array(hashes))
    rows = pc.sort_indices(table, [*order, ("question", "ascending"), ("passage", "ascending")])
    keys = keys.take(rows)
    id_, lang, source = (
        np.asarray(keys[name].to_numpy(zero_copy_only=False), object) for name in keys.column_names[:3]
    )
    same_item = np.r_[False, id_[1:] == id_[:-1]]
    repeated = np.r_[False, lang[1:] == lang[:-1]] & same_item
    starts = np.flatnonzero(~same_item)
    item_source = source[starts][np.cumsum(~same_item) - 1]
    other_source = (source != item_source) & ~repeated
    for problem, mask in ((DUPLICATE, repeated), (TWO_SOURCES, other_source)):
        for row in np.flatnonzero(mask):
            stats.skip(problem, 1, f"id {id_[row]}, lang {lang[row]}")
    kept = pa.array(~(repeated | other_source))
    rows, keys = rows.filter(kept), keys.filter(kept)
    return table.take(rows.take(pc.sort_indices(keys, [("source", "ascending"), *order[:3]])))


def text_hash(text: str) -> int:
    """64-bit hash of a text; the same on every machine and run."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def widen(
    table: pa.Table,
    langs: list[str],
    tokenise: Tokenise,
    stats: PartitionStats,
    *,
    limits: Mapping[str, int] | None = None,
    num_negatives: int = 0,
) -> pa.Table:
    """Join the rows of `drop_problems` into one row per item, tokenised (the columns of this module's docstring).

    Counts are added to `stats`. `limits`: role -> tokens at which `tokenise` cuts; `num_negatives`: hard negatives kept
    of each row, from the first.
    """
    id_ = np.asarray(table["id"].to_numpy(zero_copy_only=False), object)
    lang = np.asarray(table["lang"].to_numpy(zero_copy_only=False), object)
    first = np.r_[True, id_[1:] != id_[:-1]]
    item = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    n = len(starts)
    weight = np.add.reduceat(table["weight"].to_numpy(), starts) / np.diff(np.r_[starts, len(id_)])
    overhead = {role: int(tokenise([""], role)[1][0]) for role in ("query", "passage")}
    columns: dict[str, pa.Array] = {
        "item_id": table["id"].take(pa.array(starts)).combine_chunks(),
        "source": table["source"].take(pa.array(starts)).combine_chunks(),
        "weight": pa.array(weight.astype(np.float32)),
    }
    for code in langs:
        rows = np.flatnonzero(lang == code)
        items = item[rows]
        for role, name, counts in (
            ("query", "question", stats.query_tokens),
            ("passage", "passage", stats.passage_tokens),
        ):
            column = table[name].take(pa.array(rows))
            texts = column.to_pylist()
            values, lengths = tokenise(texts, role)
            columns[f"{role}_{code}"] = _scatter(values, lengths, items, n)
            if len(lengths):
                counts.setdefault(code, Counter()).update(Counter(lengths.tolist()))
                limit = (limits or {}).get(role, np.iinfo(np.int32).max)
                stats.whole.setdefault(code, Counter()).update(_whole(column, lengths, limit, overhead[role]))
        hashes, has = np.zeros(n, np.uint64), np.zeros(n, bool)
        hashes[items] = [text_hash(text) for text in texts]  # of the passages, the role that came last
        has[items] = True
        columns[f"hash_{code}"] = pa.array(hashes.view(np.int64), mask=~has)
        if num_negatives:
            columns[f"negative_{code}"], columns[f"negative_hash_{code}"] = negative_columns(
                table["negatives"].take(pa.array(rows)).to_pylist(), items, n, tokenise, num_negatives
            )
    return pa.table(columns)


def negative_columns(
    lists: Sequence[Sequence[str] | None], rows: np.ndarray, n: int, tokenise: Tokenise, num_negatives: int
) -> tuple[pa.Array, pa.Array]:
    """(list<list<int32>> [n], list<int64> [n]): ids and hashes of the first negatives of the items `rows` (rising)."""
    kept = [(texts or ())[:num_negatives] for texts in lists]
    flat = [text for texts in kept for text in texts]
    values, lengths = tokenise(flat, "passage")
    offsets = pa.array(np.r_[0, np.cumsum(lengths)].astype(np.int32))
    ids = pa.ListArray.from_arrays(offsets, pa.array(values, pa.int32()))
    hashes = np.array([text_hash(text) for text in flat], np.uint64).view(np.int64)
    counts = np.array([len(texts) for texts in kept], np.int32)
    return _scatter(ids, counts, rows, n), _scatter(pa.array(hashes, pa.int64()), counts, rows, n)


def _whole(column: pa.ChunkedArray, lengths: np.ndarray, limit: int, overhead: int) -> Counter[str]:
    """Tokens, words and characters of the texts that the limit did not cut."""
    uncut = lengths < limit
    texts = column.filter(pa.array(uncut))
    return Counter(
        tokens=int((lengths[uncut] - overhead).sum()),
        words=pc.sum(pc.count_substring_regex(texts, r"\S+")).as_py() or 0,
        chars=pc.sum(pc.utf8_length(texts)).as_py() or 0,
    )


def _scatter(values: np.ndarray | pa.Array, lengths: np.ndarray, rows: np.ndarray, n: int) -> pa.Array:
    """List array of `n` rows whose `rows` (rising) hold the ragged `values` (arrays: int32); the others are null."""
    full = np.zeros(n, np.int32)
    full[rows] = lengths
    has = np.zeros(n, bool)
    has[rows] = True
    offsets = np.r_[0, np.cumsum(full)].astype(np.int32)
    flat = pa.array(values, pa.int32()) if isinstance(values, np.ndarray) else values
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=pa.array(~has))


def coverage(table: pa.Table, langs: list[str]) -> np.ndarray:
    """bool [num_items, num_langs]: which item has which language."""
    has = [np.asarray(table[f"hash_{code}"].is_valid().to_numpy(zero_copy_only=False)) for code in langs]
    return np.stack(has, axis=1) if has else np.zeros((table.num_rows, 0), bool)


def write_shard(table: pa.Table, sink: object) -> list[tuple[str, int]]:
    """Write a widened table as Parquet; returns (source, number of items) of every row group."""
    source = np.asarray(table["source"].to_numpy(zero_copy_only=False), object)
    bounds = [0, *(np.flatnonzero(source[1:] != source[:-1]) + 1).tolist(), len(source)]
    rows = int(np.clip(ROW_GROUP_BYTES // max(1, table.nbytes // max(1, table.num_rows)), MIN_ROW_GROUP, MAX_ROW_GROUP))
    groups: list[tuple[str, int]] = []
    with pq.ParquetWriter(sink, table.schema, compression="zstd", use_dictionary=["source"]) as writer:
        for start, stop in itertools.pairwise(bounds):
            for first in range(start, stop, rows):
                part = table.slice(first, min(rows, stop - first))
                writer.write_table(part, row_group_size=rows)
                groups.append((str(source[first]), part.num_rows))
    return groups
