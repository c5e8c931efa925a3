"""A parallel corpus of any size: items whose passages are several of the built-in sample's, in all languages alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hbt_ray.corpus.sample import read_sample

NUM_PARTS = 2
"""Passages of the sample that make one."""
ROWS_PER_GROUP = 65_536


def write_corpus(directory: Path, num_items: int, langs: Sequence[str], *, seed: int = 0) -> int:
    """Write `num_items` items in `langs` as Parquet in long form, a file per language; returns the bytes of text."""
    directory.mkdir(parents=True, exist_ok=True)
    rows, num_bytes = read_sample(), 0
    for lang in langs:
        sample = rows.filter(pc.equal(rows["lang"], lang)).combine_chunks()
        rng = np.random.default_rng(seed)  # the same parts in every language
        writer = None
        for start in range(0, num_items, ROWS_PER_GROUP):
            numbers = range(start, min(start + ROWS_PER_GROUP, num_items))
            parts = rng.integers(0, sample.num_rows, (NUM_PARTS, len(numbers)))
            suffix = pa.array([f"({number})" for number in numbers])
            question = sample["question"].take(parts[0])
            passages = [sample["passage"].take(part) for part in parts]
            columns = {
                "id": pa.array([f"item-{number}" for number in numbers]),
                "source": pa.array([f"s{number % 3}" for number in numbers]),
                "lang": pa.array([lang] * len(numbers)),
                "question": pc.binary_join_element_wise(question, suffix, " "),
                "passage": pc.binary_join_element_wise(*passages, suffix, " "),
            }
            table = pa.table(columns)
            num_bytes += table["question"].nbytes + table["passage"].nbytes
            writer = writer or pq.ParquetWriter(directory / f"{lang}.parquet", table.schema, compression="zstd")
            writer.write_table(table)
        if writer:
            writer.close()
    return num_bytes
