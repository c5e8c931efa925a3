"""Rejected rows to look at."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from hbt_ray.storage import open_fs


def sample_rejected(directory: str, reason: str = "", num: int = 10, seed: int = 0) -> list[dict[str, Any]]:
    """`num` random rows that were rejected for a reason that begins with `reason`, in the columns of `REJECTED`.

    Args:
        directory: of a cleaned corpus.
        reason: `numbers`, `numbers: passage`, ...; empty is any.
        num: rows, if there are as many.
        seed: of the choice.
    """
    rng = random.Random(seed)
    chosen: list[dict[str, Any]] = []
    for seen, row in enumerate(_rejected(directory, reason)):  # a reservoir: the side table may be large
        if len(chosen) < num:
            chosen.append(row)
        elif (at := rng.randrange(seen + 1)) < num:
            chosen[at] = row
    return chosen


def _rejected(directory: str, reason: str) -> Iterator[dict[str, Any]]:
    fs, root = open_fs(f"{directory}/rejected")
    for path in sorted(fs.glob(f"{root}/*.parquet")):
        for batch in pq.ParquetFile(io.BytesIO(fs.cat_file(path))).iter_batches():
            yield from (row for row in batch.to_pylist() if row["reason"].startswith(reason))
