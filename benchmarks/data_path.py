"""How fast the data path is without a model: tokenised shards -> slices -> Arrow blocks -> collated batches."""

import io
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.plan import BatchPlan
from hbt_ray.batches.row_reader import RowReader
from hbt_ray.batches.slices import from_table, to_table
from hbt_ray.config import PlanConfig
from hbt_ray.corpus.manifest import MANIFEST, Corpus, FileInfo, Manifest, ShardInfo, Split
from hbt_ray.corpus.shards import write_shard
from hbt_ray.training.batch import collate

QUERY_TOKENS, PASSAGE_TOKENS = 32, 128
CHUNK_STEPS = 8


def write_corpus(directory: Path, num_items: int, num_langs: int) -> Corpus:
    """A prepared corpus of random ids in which every item has every language and every text the same length."""
    rng = np.random.default_rng(0)
    langs = tuple(f"l{number}" for number in range(num_langs))
    columns: dict[str, Any] = {
        "item_id": pa.array([str(number) for number in range(num_items)]),
        "source": pa.array(["synthetic"] * num_items),
        "weight": pa.array(np.ones(num_items, np.float32)),
        "group": pa.array(np.arange(num_items)),
    }
    for lang in langs:
        for role, length in (("query", QUERY_TOKENS), ("passage", PASSAGE_TOKENS)):
            values = pa.array(rng.integers(5, 30_000, num_items * length).astype(np.int32))
            offsets = pa.array(np.arange(num_items + 1, dtype=np.int32) * length)
            columns[f"{role}_{lang}"] = pa.ListArray.from_arrays(offsets, values)
        columns[f"hash_{lang}"] = pa.array(rng.integers(0, 2**62, num_items))
    buffer, coverage = io.BytesIO(), io.BytesIO()
    groups = write_shard(pa.table(columns), buffer)
    np.save(coverage, np.packbits(np.ones((num_items, num_langs), bool), axis=1), allow_pickle=False)
    shard = ShardInfo("train-0.parquet", buffer.getbuffer().nbytes, "", tuple(groups))
    info = FileInfo("train-coverage.npy", coverage.getbuffer().nbytes, "")
    for name, file in ((shard.name, buffer), (info.name, coverage)):
        (directory / name).write_bytes(file.getvalue())
    manifest = Manifest(
        fingerprint="",
        made_from={},
        settings={},
        langs=langs,
        splits={"train": Split((shard,), info, dict.fromkeys(langs, num_items))},
        skipped={},
        ignored_files=(),
        tokens={},
    )
    (directory / MANIFEST).write_text(manifest.to_json())
    return Corpus.open(str(directory))


def data_path(directory: Path, *, num_items: int, num_langs: int, batch_size: int, num_steps: int) -> dict[str, float]:
    """Pairs a second of one core, once the shards are decoded, by stage and in all; half of the steps are X-X."""
    corpus = write_corpus(directory, num_items, num_langs)
    index = ItemIndex.of(corpus)
    plan = BatchPlan(index, PlanConfig(batch_size=batch_size), seed=0, num_steps=2 * num_steps)
    reader = RowReader(corpus, index)
    for step in range(num_steps):  # reads and decodes
        reader.slice(plan.step(step))
    seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(*stages: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        for stage in stages:
            seconds[stage] += time.process_time() - begin

    for first in range(num_steps, 2 * num_steps, CHUNK_STEPS):
        with timed("plan", "all"):
            steps = [plan.step(step) for step in range(first, min(first + CHUNK_STEPS, 2 * num_steps))]
        with timed("read", "all"):
            slices = [reader.slice(step) for step in steps]
        with timed("to blocks", "all"):
            table = to_table(slices)
        with timed("from blocks", "all"):
            received = list(from_table(table))
        with timed("collate packed", "all"):
            for part in received:
                collate(part, pad_id=0, token_budget=4096, packed=True)
    return {stage: num_steps * batch_size / spent for stage, spent in seconds.items()}
