"""A parallel corpus of any size: items whose passages are several of the built-in sample's, in all languages alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hbt_ray.corpus.sample import write_sample

NUM_PARTS = 2
"""Passages of the sample that make one."""
ROWS_A_GROUP = 65_536


def write_corpus(directory: Path, num_items: int, langs: Sequence[str], *, seed: int = 0) -> int:
    """Write `num_items` items in `langs` as Parquet in long form, a file a language; returns the bytes of text."""
    write_sample(directory / ".sample", langs=langs)
    out = directory / "corpus"
    out.mkdir(parents=True, exist_ok=True)
    num_bytes = 0
    for lang in langs:
        sample = pa.concat_tables(
            pq.read_table(path, columns=["question", "passage"])
            for path in sorted((directory / ".sample").glob(f"{lang}*.parquet"))
        ).combine_chunks()
        rng = np.random.default_rng(seed)  # the same parts in every language
        writer = None
        for start in range(0, num_items, ROWS_A_GROUP):
            stop = min(start + ROWS_A_GROUP, num_items)
            parts = rng.integers(0, sample.num_rows, (stop - start, NUM_PARTS))
            number = pa.array([f"({at})" for at in range(start, stop)])
            texts = [sample["passage"].take(pa.array(parts[:, part])) for part in range(NUM_PARTS)]
            table = pa.table(
                {
                    "id": pa.array([f"item-{at}" for at in range(start, stop)]),
                    "source": pa.array([f"s{at % 3}" for at in range(start, stop)]),
                    "lang": pa.array([lang] * (stop - start)),
                    "question": pc.binary_join_element_wise(
                        sample["question"].take(pa.array(parts[:, 0])), number, " "
                    ),
                    "passage": pc.binary_join_element_wise(*texts, number, " "),
                }
            )
            num_bytes += table["question"].nbytes + table["passage"].nbytes
            writer = writer or pq.ParquetWriter(out / f"{lang}.parquet", table.schema, compression="zstd")
            writer.write_table(table, row_group_size=ROWS_A_GROUP)
        if writer:
            writer.close()
    return num_bytes
