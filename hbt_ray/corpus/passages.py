"""Passage groups: items with one passage text, in any language, which are never each other's negatives.

Five questions on a paragraph are five items with the same passage. Where one of them is paired with the English text
and another with the German one, nothing in the two texts says that they are one paragraph: the items have to. Items
that share a text form a group, transitively; a text of more than `BOILERPLATE` items joins nobody.

A group is known by a label, a 64-bit number. Labels are made in two steps over the partitions of a corpus: each writes
the hashes of its passages, by bucket; then one task looks at all hashes of a bucket at a time, and writes the labels of
every partition. Memory is a bucket's hashes and some bytes an item.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from hbt_ray.corpus.grouping import Load
from hbt_ray.corpus.manifest import GroupCounts
from hbt_ray.corpus.shards import Labels, PartitionStats, drop_problems, text_hash
from hbt_ray.storage import open_fs, write_whole

BOILERPLATE = 50
"""A text that more items have is no answer to any of them ("see above"), and would join what has nothing in common."""
PARTITIONS_A_BUCKET = 64
"""About 6 million rows in a bucket: 100 MB while it is looked at."""
ENTRY = np.dtype([("hash", "<u8"), ("item", "<i4")])
"""A text of an item; items of a partition are counted in the order of `drop_problems`."""


@dataclass(frozen=True)
class DevRule:
    """Which items are dev items: those with an id in `ids`, or a share by a hash of the id where there are no `ids`."""

    ids: frozenset[str] | None
    share: float

    def of(self, ids: Sequence[str], labels: np.ndarray) -> np.ndarray:
        """bool [n], from the ids and the labels of items."""
        if self.ids is not None:
            return np.array([id_ in self.ids for id_ in ids], bool)
        return np.asarray(labels < np.uint64(np.ceil(self.share * 2**64)))


@dataclass(frozen=True)
class Hashed:
    """What `hash_passages` wrote for a partition: entries of passages and of hard negatives by bucket."""

    part: int
    num_items: int
    num_passages: tuple[int, ...]
    num_negatives: tuple[int, ...]


def num_buckets(num_partitions: int) -> int:
    """Buckets of hashes for a corpus cut into so many partitions."""
    return -(-num_partitions // PARTITIONS_A_BUCKET)


def own_labels(ids: Sequence[str]) -> np.ndarray:
    """uint64 [n]: the labels of items that are groups of their own.

    Of another hash than the one of partitions and order: dev items are those of small labels, and would come from the
    beginnings of partitions.
    """
    return np.array([text_hash("dev\0" + id_) for id_ in ids], np.uint64)


def hash_passages(
    load: Load, part: int, directory: str, buckets: int, dev: DevRule, num_negatives: int
) -> Hashed | None:
    """Write the hashes of the texts of one partition to `directory`; None where none of its rows can be used."""
    columns = ["id", "lang", "source", "question", "passage", "problem"] + ["negatives"] * (num_negatives > 0)
    table = drop_problems(load().select(columns), PartitionStats())
    if not table.num_rows:
        return None
    ids = np.asarray(table["id"].to_numpy(zero_copy_only=False), object)
    first = np.r_[True, ids[1:] != ids[:-1]]
    item = np.cumsum(first) - 1
    names = ids[first].tolist()
    labels = own_labels(names)
    items = pa.table({"label": labels, "dev": dev.of(names, labels), "id": names})
    buffer = io.BytesIO()
    pq.write_table(items, buffer)
    write_whole(f"{directory}/{part:05d}.items", buffer.getvalue())
    passages = _write(f"{directory}/{part:05d}.passages", table["passage"].to_pylist(), item, buckets)
    texts: list[str] = []
    owners: list[int] = []
    if num_negatives:
        for owner, negatives in zip(item.tolist(), table["negatives"].to_pylist(), strict=True):
            texts += (negatives or [])[:num_negatives]
            owners += [owner] * len((negatives or [])[:num_negatives])
    negatives = _write(f"{directory}/{part:05d}.negatives", texts, np.array(owners, np.int64), buckets)
    return Hashed(part, len(names), passages, negatives)


def join_groups(item: tuple[int], directory: str, parts: Sequence[Hashed], buckets: int, by_ids: bool) -> GroupCounts:
    """Find the groups of all partitions, and write the labels of each for `read_labels`.

    A group has the label of one of its items, and is dev where that item is, or, with `by_ids`, where any is.
    """
    starts = np.r_[0, np.cumsum([hashed.num_items for hashed in parts], dtype=np.int64)]
    links, found, boilerplate, most = [], [], 0, (0, -1)
    for bucket in range(buckets):
        texts, items = _read(directory, "passages", parts, bucket, starts)
        kept, first, size = _unique_items(texts, items)
        boilerplate += int((size > BOILERPLATE).sum())
        if len(size):
            most = max(most, (int(size.max()), int(kept[1][first[size.argmax()]])))
        shared = np.repeat((size > 1) & (size <= BOILERPLATE), size)
        links.append(np.stack([np.repeat(kept[1][first], size)[shared], kept[1][shared]]))
        negatives = np.unique(_read(directory, "negatives", parts, bucket, starts)[0])
        found_at = np.minimum(np.searchsorted(kept[0][first], negatives), max(len(first) - 1, 0))
        hit = (kept[0][first][found_at] == negatives) & (size[found_at] <= BOILERPLATE) if len(first) else slice(0, 0)
        found.append((negatives[hit], kept[1][first][found_at[hit]]))
    own = [_read_items(directory, hashed.part, ["label", "dev"]) for hashed in parts]
    labels = np.concatenate([table["label"].to_numpy() for table in own]) if own else np.zeros(0, np.uint64)
    dev = np.concatenate([table["dev"].to_numpy() for table in own]) if own else np.zeros(0, bool)
    members, group, leaders = find_groups(np.concatenate(links, axis=1), labels)
    counts = np.bincount(group, minlength=len(leaders))
    any_dev = np.bincount(group[dev[members]], minlength=len(leaders)) > 0
    group_dev = any_dev if by_ids else dev[leaders]
    labels[members] = labels[leaders][group]
    num_moved = int((group_dev[group] & ~dev[members]).sum()) if by_ids else 0
    dev[members] = group_dev[group]
    hashes = np.concatenate([part[0] for part in found])
    owners = np.concatenate([part[1] for part in found])
    order = np.argsort(hashes)
    hashes, of_negatives = hashes[order], labels[owners[order]]
    for number, hashed in enumerate(parts):
        rows = slice(starts[number], starts[number + 1])
        mine = np.isin(hashes, _entries(directory, "negatives", hashed)["hash"]) if len(hashes) else slice(0, 0)
        buffer = io.BytesIO()
        np.savez(buffer, items=labels[rows], dev=dev[rows], negatives=hashes[mine], of_negatives=of_negatives[mine])
        write_whole(f"{directory}/{hashed.part:05d}.labels", buffer.getvalue())

    def name(number: int) -> str:
        part = int(np.searchsorted(starts, number, side="right")) - 1
        ids = _read_items(directory, parts[part].part, ["id"])["id"]
        return str(ids[number - int(starts[part])])

    return GroupCounts(
        num_groups=len(leaders),
        num_items=len(members),
        largest=int(counts.max(initial=0)),
        largest_id=name(int(leaders[counts.argmax()])) if len(leaders) else "",
        num_boilerplate=boilerplate,
        most_shared=most[0],
        most_shared_id=name(most[1]) if most[0] > BOILERPLATE else "",
        num_dev_moved=num_moved,
    )


def find_groups(links: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of two items or more: (members rising [m], group of each [m], the item that gives each its label [g]).

    `links` int [2, n]: pairs of items that share a text. The item is the first in an order that says nothing of the
    labels' size: a group is then no more likely to be dev than an item is.
    """
    members, ends = np.unique(links[:, links[0] != links[1]], return_inverse=True)
    ends = ends.reshape(2, -1)
    graph = coo_array((np.ones(ends.shape[1], np.int8), (ends[0], ends[1])), shape=(len(members), len(members)))
    num, group = connected_components(graph, directed=False) if len(members) else (0, np.zeros(0, np.int32))
    mixed = labels[members] * np.uint64(0x9E3779B97F4A7C15)  # wraps around: the golden ratio's multiplicative hash
    order = np.lexsort((mixed, group))
    leaders = members[order[np.r_[True, np.diff(group[order]) > 0]]] if num else np.zeros(0, np.int64)
    return members, group, leaders


def read_labels(directory: str, part: int) -> Labels:
    """The labels of a partition's items and hard negatives."""
    fs, path = open_fs(f"{directory}/{part:05d}.labels")
    arrays = np.load(io.BytesIO(fs.cat_file(path)), allow_pickle=False)
    return Labels(*(arrays[name] for name in ("items", "dev", "negatives", "of_negatives")))


def _unique_items(texts: np.ndarray, items: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """((text, item) once each and in order, where each text begins, how many items have it)."""
    order = np.lexsort((items, texts))
    texts, items = texts[order], items[order]
    new = np.ones(len(texts), bool)  # an item that was left untranslated has one text in several languages
    new[1:] = (texts[1:] != texts[:-1]) | (items[1:] != items[:-1])
    texts, items = texts[new], items[new]
    first = np.flatnonzero(np.r_[True, texts[1:] != texts[:-1]][: len(texts)])
    return (texts, items), first, np.diff(np.r_[first, len(texts)])


def _write(location: str, texts: list[str], items: np.ndarray, buckets: int) -> tuple[int, ...]:
    entries = np.zeros(len(texts), ENTRY)
    entries["hash"], entries["item"] = [text_hash(text) for text in texts], items
    bucket = entries["hash"] % np.uint64(buckets)
    write_whole(location, entries[np.argsort(bucket, kind="stable")].tobytes())
    return tuple(np.bincount(bucket.astype(np.int64), minlength=buckets).tolist())


def _read(
    directory: str, name: str, parts: Sequence[Hashed], bucket: int, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """uint64 hashes and int64 items, counted over all partitions, of one bucket."""
    entries = [_entries(directory, name, hashed, bucket) for hashed in parts]
    texts = [np.zeros(0, np.uint64), *(part["hash"] for part in entries)]
    items = [np.zeros(0, np.int64), *(part["item"] + start for part, start in zip(entries, starts, strict=False))]
    return np.concatenate(texts), np.concatenate(items)


def _entries(directory: str, name: str, hashed: Hashed, bucket: int | None = None) -> np.ndarray:
    """Entries of a partition, all or those of a bucket."""
    sizes = hashed.num_passages if name == "passages" else hashed.num_negatives
    start, stop = (0, sum(sizes)) if bucket is None else (sum(sizes[:bucket]), sum(sizes[: bucket + 1]))
    if start == stop:
        return np.zeros(0, ENTRY)
    fs, path = open_fs(f"{directory}/{hashed.part:05d}.{name}")
    with fs.open(path, "rb") as file:
        file.seek(start * ENTRY.itemsize)
        return np.frombuffer(file.read((stop - start) * ENTRY.itemsize), ENTRY)


def _read_items(directory: str, part: int, columns: list[str]) -> pa.Table:
    fs, path = open_fs(f"{directory}/{part:05d}.items")
    return pq.read_table(io.BytesIO(fs.cat_file(path)), columns=columns)
