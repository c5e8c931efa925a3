"""Near-duplicates among all items: candidates by bands, one band at a time, then items are taken out of their files.

The driver holds some 40 bytes an item for the band that it looks at, and the sketches of candidates.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hbt_ray.cleaning.counts import CleanCounts, item_starts
from hbt_ray.cleaning.partition import REJECTED, PartWriter, rejected_rows
from hbt_ray.cleaning.sketches import NUM_BANDS, NUM_HASHES, candidates, confirm
from hbt_ray.errors import ClusterError
from hbt_ray.storage import open_fs

REASON = "duplicate"
SKETCHES_HELD = 1 << 20

Item = dict[str, Any]
"""`id`, `lang`, `question`, `passage` of one row of an item."""


def find_duplicates(directory: str, num_items: dict[int, int], threshold: float) -> dict[int, dict[int, Item]]:
    """Partition -> item (by its place among the partition's) -> the item that it repeats.

    Args:
        directory: of the corpus that is cleaned, with the sketches of `clean_partition`.
        num_items: partition -> items that have a sketch.
        threshold: Jaccard similarity.
    """
    parts = [part for part in sorted(num_items) if num_items[part]]
    starts = np.r_[0, np.cumsum([num_items[part] for part in parts])].astype(np.int64)

    def band(number: int) -> np.ndarray:
        sizes = [num_items[part] * np.dtype(np.uint64).itemsize for part in parts]
        pieces = [_read(directory, part, "bands", number * size, size) for part, size in zip(parts, sizes, strict=True)]
        return np.frombuffer(b"".join(pieces), np.uint64)

    def place(item: int) -> tuple[int, int]:
        number = int(np.searchsorted(starts, item, side="right")) - 1
        return parts[number], item - int(starts[number])

    @lru_cache(maxsize=SKETCHES_HELD)
    def sketch_of(item: int) -> np.ndarray:
        part, row = place(item)
        return np.frombuffer(_read(directory, part, "sketch", row * NUM_HASHES, NUM_HASHES), np.uint8)

    earlier_of = confirm(candidates(band(number) for number in range(NUM_BANDS)), sketch_of, threshold)
    wanted: dict[int, set[int]] = {}
    for part, row in map(place, earlier_of.values()):
        wanted.setdefault(part, set()).add(row)
    repeated: dict[tuple[int, int], Item] = {}
    for part, rows in wanted.items():
        order = sorted(rows)
        items = _items(directory, part).take(pa.array(order)).to_pylist()
        repeated.update({(part, row): item for row, item in zip(order, items, strict=True)})
    out: dict[int, dict[int, Item]] = {}
    for later, earlier in earlier_of.items():
        part, row = place(later)
        out.setdefault(part, {})[row] = repeated[place(earlier)]
    return out


def remove_items(directory: str, part: int, num_items: int, duplicates: dict[int, Item]) -> CleanCounts:
    """Write what is kept of a partition without some items, and these into a file of rejected rows of their own.

    What is kept takes its place when `put_in_place` is called, so that this can be done again.

    Args:
        directory: of the corpus that is cleaned.
        part: the partition.
        num_items: that it has, or the places would be those of others.
        duplicates: item by its place -> the item that it repeats.

    Returns:
        What is rejected, and all that is kept of the partition.
    """
    location = f"{directory}/kept/part-{part:05d}.parquet"
    fs, path = open_fs(location)
    table = pq.read_table(io.BytesIO(fs.cat_file(path)))
    starts = item_starts(table["id"])
    if len(starts) != num_items:
        raise ClusterError(f"{location}: {len(starts)} items, not {num_items}: another job has changed it; run again")
    places = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, table.num_rows]))
    taken = np.isin(places, list(duplicates))
    gone, left = table.filter(pa.array(taken)), table.filter(pa.array(~taken))
    others = pa.Table.from_pylist([duplicates[item] for item in places[taken].tolist()])
    rejected = PartWriter(REJECTED)
    rejected.write(rejected_rows(gone, [REASON] * gone.num_rows, [None] * gone.num_rows, others))
    rejected.save(f"{directory}/rejected/part-{part:05d}-duplicates.parquet")
    counts = CleanCounts()
    counts.reject(REASON, gone["lang"].to_pylist())
    counts.kept.count_rows(left)
    kept = PartWriter(table.schema)
    kept.write(left)
    kept.save(f"{directory}/.work/unique/part-{part:05d}.parquet")
    return counts


def put_in_place(directory: str, part: int, num_rows: int) -> None:
    """Put the rows that `remove_items` has left of a partition, `num_rows`, in the place of all; once is enough."""
    fs, kept = open_fs(f"{directory}/kept/part-{part:05d}.parquet")
    _, unique = open_fs(f"{directory}/.work/unique/part-{part:05d}.parquet")
    if fs.exists(unique):
        fs.mv(unique, kept)
    elif not num_rows and fs.exists(kept):
        fs.rm_file(kept)


def _items(directory: str, part: int) -> pa.Table:
    fs, path = open_fs(f"{directory}/.work/{part:05d}.parquet")
    return pq.read_table(io.BytesIO(fs.cat_file(path)))


def _read(directory: str, part: int, what: str, start: int, num_bytes: int) -> bytes:
    fs, path = open_fs(f"{directory}/.work/{part:05d}.{what}")
    data: bytes = fs.cat_file(path, start=start, end=start + num_bytes)
    return data
