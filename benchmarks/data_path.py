"""How fast the data path is without a model: tokenised shards -> slices -> Arrow blocks -> collated batches."""

import io
import json
import time
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
    files = {"train-0.parquet": buffer.getvalue(), "train-coverage.npy": coverage.getvalue()}
    for name, data in files.items():
        (directory / name).write_bytes(data)
    shard = ShardInfo("train-0.parquet", len(files["train-0.parquet"]), "", tuple(groups))
    info = FileInfo("train-coverage.npy", len(files["train-coverage.npy"]), "")
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


def data_path(directory: Path, *, num_items: int, num_langs: int, batch_size: int, num_steps: int) -> dict[str, Any]:
    """Pairs a second of one core, once the shards are decoded, by stage and in all; half of the steps are X-X."""
    corpus = write_corpus(directory, num_items, num_langs)
    index = ItemIndex.of(corpus)
    plan = BatchPlan(index, PlanConfig(batch_size=batch_size), seed=0, num_steps=2 * num_steps)
    reader = RowReader(corpus, index)
    for step in range(num_steps):  # reads and decodes
        reader.slice(plan.step(step))
    seconds = dict.fromkeys(("plan", "read", "to blocks", "from blocks", "collate packed"), 0.0)
    for first in range(num_steps, 2 * num_steps, CHUNK_STEPS):
        marks = [time.process_time()]
        steps = [plan.step(step) for step in range(first, min(first + CHUNK_STEPS, 2 * num_steps))]
        marks.append(time.process_time())
        slices = [reader.slice(step) for step in steps]
        marks.append(time.process_time())
        table = to_table(slices)
        marks.append(time.process_time())
        received = list(from_table(table))
        marks.append(time.process_time())
        for part in received:
            collate(part, pad_id=0, token_budget=4096, packed=True)
        marks.append(time.process_time())
        for name, spent in zip(seconds, np.diff(marks), strict=True):
            seconds[name] += float(spent)
    num_pairs = num_steps * batch_size
    return {
        "num_pairs": num_pairs,
        "tokens": [QUERY_TOKENS, PASSAGE_TOKENS],
        "num_langs": num_langs,
        "batch_size": batch_size,
        "pairs_per_cpu_s": {name: num_pairs / spent for name, spent in seconds.items()},
        "all": num_pairs / sum(seconds.values()),
    }


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        print(json.dumps(data_path(Path(made), num_items=20_000, num_langs=4, batch_size=512, num_steps=64), indent=1))
