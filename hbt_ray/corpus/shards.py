"""One partition of long rows becomes one shard: items in rows, all their languages in columns, tokenised.

Shard columns: `item_id`, `source`, `weight`, `group` (label of its passage group), and per language `query_<lang>` and
`passage_<lang>` (int32 token ids, null where the item lacks the language) and `hash_<lang>` (64-bit hash of the passage
text, so that equal passages are never each other's negatives). With hard negatives, `negative_<lang>` holds their token
ids (list of lists, read as passages; null where the item lacks the language, empty where it has no negatives),
`negative_hash_<lang>` the hashes of their texts, and `negative_group_<lang>` the labels of the groups whose passages
they are (0: nobody's). Rows are ordered by source, then by a hash of the id, and a row group holds one source only: the
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

from hbt_ray.corpus.rows import DUPLICATE, NOT_SELECTED, TWO_SOURCES

ROW_GROUP_BYTES = 4 << 20
MIN_ROW_GROUP, MAX_ROW_GROUP = 64, 8192
NO_PLACE = np.uint64(2**64 - 1)
"""In the label of a hard negative that an item does not have."""

Tokenise = Callable[[list[str], str], tuple[np.ndarray, np.ndarray]]
"""Texts and their role -> flat token ids and lengths."""


@dataclass(frozen=True)
class Labels:
    """Passage groups of a partition (`hbt_ray.corpus.passages`).

    Attributes:
        items: uint64 [items], the label of each item's group, in the order of `drop_problems`.
        dev: bool [items], whether that group is dev.
        negatives: uint64 [n] rising, hashes of the hard negatives that are some item's passage.
        of_negatives: uint64 [n], the label of that item's group.
    """

    items: np.ndarray
    dev: np.ndarray
    negatives: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    of_negatives: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))

    def of_texts(self, hashes: np.ndarray) -> np.ndarray:
        """uint64 [n]: the label of each hard negative by the hash of its text; 0 where it is nobody's passage."""
        if not len(self.negatives):
            return np.zeros(len(hashes), np.uint64)
        place = np.minimum(np.searchsorted(self.negatives, hashes), len(self.negatives) - 1)
        return np.where(self.negatives[place] == hashes, self.of_negatives[place], np.uint64(0))


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
    num_negatives: int = 0
    """Hard negatives that were kept."""
    dev_ids: set[str] = field(default_factory=set)
    """Ids of the dev items."""
    other_langs: set[str] = field(default_factory=set)
    """Languages of rows that were not asked for."""

    def skip(self, problem: str, num: int, example: str) -> None:
        """Count `num` rows left out for `problem`, keeping the first example in order of text."""
        self.skipped[problem] += num
        self.examples[problem] = min(example, self.examples.get(problem, example))

    def add(self, other: PartitionStats) -> None:
        """Fold another partition's counts into these."""
        for problem, num in other.skipped.items():
            self.skip(problem, num, other.examples[problem])
        self.num_negatives += other.num_negatives
        self.dev_ids |= other.dev_ids
        self.other_langs |= other.other_langs
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
        if problem == NOT_SELECTED:
            stats.other_langs.update(rows["lang"].unique().to_pylist())
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
    labels: Labels,
    *,
    limits: Mapping[str, int] | None = None,
    num_negatives: int = 0,
) -> pa.Table:
    """Join the rows of `drop_problems` into one row per item, tokenised (the columns of this module's docstring).

    Counts are added to `stats`. `labels`: of the items; `limits`: role -> tokens at which `tokenise` cuts;
    `num_negatives`: hard negatives kept of each row, from the first.
    """
    id_ = np.asarray(table["id"].to_numpy(zero_copy_only=False), object)
    lang = np.asarray(table["lang"].to_numpy(zero_copy_only=False), object)
    first = np.r_[True, id_[1:] != id_[:-1]]
    item = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    n = len(starts)
    weight = np.add.reduceat(table["weight"].to_numpy(), starts) / np.diff(np.r_[starts, len(id_)])
    overhead = {role: int(tokenise([""], role)[1][0]) for role in ("query", "passage")}
    negative_labels: dict[str, np.ndarray] = {}
    columns: dict[str, pa.Array] = {
        "item_id": table["id"].take(pa.array(starts)).combine_chunks(),
        "source": table["source"].take(pa.array(starts)).combine_chunks(),
        "weight": pa.array(weight.astype(np.float32)),
        "group": pa.array(labels.items.view(np.int64)),
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
            texts = table["negatives"].take(pa.array(rows)).to_pylist()
            columns[f"negative_{code}"], columns[f"negative_hash_{code}"], hashes, lengths = negative_columns(
                texts, items, n, tokenise, num_negatives
            )
            stats.num_negatives += int(lengths.sum())
            there = np.arange(num_negatives) < lengths[:, None]
            negative_labels[code] = np.where(there, np.uint64(0), NO_PLACE)
            negative_labels[code][there] = labels.of_texts(hashes)
    for code, found in label_translations(negative_labels).items():
        there = found != NO_PLACE
        rows, flat = np.flatnonzero(lang_mask(columns[f"hash_{code}"])), pa.array(found[there].view(np.int64))
        columns[f"negative_group_{code}"] = _scatter(flat, there.sum(axis=1)[rows].astype(np.int32), rows, n)
    return pa.table(columns)


def label_translations(labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Labels of hard negatives [n, k] by language, where a negative also has those of its translations.

    The negatives of an item are one another's translations, place by place, where all its languages have as many: a
    text that is nobody's passage in German may be somebody's in English.
    """
    if not labels:
        return {}
    whole = np.stack(list(labels.values()))
    places = whole != NO_PLACE
    counts = places.sum(axis=2)
    alike = (counts == counts.max(axis=0)) | (counts == 0)
    best = np.where(places & alike.all(axis=0)[None, :, None], whole, np.uint64(0)).max(axis=0)
    return {code: np.where(found == 0, best, found) for code, found in labels.items()}


def negative_columns(
    lists: Sequence[Sequence[str] | None], rows: np.ndarray, n: int, tokenise: Tokenise, num_negatives: int
) -> tuple[pa.Array, pa.Array, np.ndarray, np.ndarray]:
    """The first hard negatives of items `rows`, rising.

    Ids (list<list<int32>> [n]) and hashes (list<int64> [n]); the hashes once more, flat, and int [n] how many.
    """
    kept = [(texts or ())[:num_negatives] for texts in lists]
    flat = [text for texts in kept for text in texts]
    values, lengths = tokenise(flat, "passage")
    offsets = pa.array(np.r_[0, np.cumsum(lengths)].astype(np.int32))
    ids = pa.ListArray.from_arrays(offsets, pa.array(values, pa.int32()))
    hashes = np.array([text_hash(text) for text in flat], np.uint64)
    counts = np.array([len(texts) for texts in kept], np.int32)
    per_item = np.zeros(n, np.int32)
    per_item[rows] = counts
    of_texts = pa.array(hashes.view(np.int64), pa.int64())
    return _scatter(ids, counts, rows, n), _scatter(of_texts, counts, rows, n), hashes, per_item


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


def lang_mask(hashes: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """bool [num_items]: which items have the language of a column `hash_<lang>`."""
    return np.asarray(hashes.is_valid().to_numpy(zero_copy_only=False))


def coverage(table: pa.Table, langs: list[str]) -> np.ndarray:
    """bool [num_items, num_langs]: which item has which language."""
    has = [lang_mask(table[f"hash_{code}"]) for code in langs]
    return np.stack(has, axis=1) if has else np.zeros((table.num_rows, 0), bool)


def write_shard(table: pa.Table, sink: object) -> list[tuple[str, int]]:
    """Write a widened table as Parquet; returns (source, number of items) of every row group."""
    source = np.asarray(table["source"].to_numpy(zero_copy_only=False), object)
    bounds = [0, *(np.flatnonzero(source[1:] != source[:-1]) + 1).tolist(), len(source)]
    num_bytes = table.nbytes - table["group"].nbytes  # row groups, which order the batches, are of the texts alone
    rows = int(np.clip(ROW_GROUP_BYTES // max(1, num_bytes // max(1, table.num_rows)), MIN_ROW_GROUP, MAX_ROW_GROUP))
    groups: list[tuple[str, int]] = []
    with pq.ParquetWriter(sink, table.schema, compression="zstd", use_dictionary=["source"]) as writer:
        for start, stop in itertools.pairwise(bounds):
            for first in range(start, stop, rows):
                part = table.slice(first, min(rows, stop - first))
                writer.write_table(part, row_group_size=rows)
                groups.append((str(source[first]), part.num_rows))
    return groups
