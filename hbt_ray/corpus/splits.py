"""What the partitions of a corpus gave back, put together: shards and coverage of a split, pairs of languages."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import numpy as np

from hbt_ray.corpus.manifest import FileInfo, ShardInfo, Split
from hbt_ray.storage import write_whole


def merge_split(split: str, directory: str, results: list[dict[str, Any]], langs: tuple[str, ...]) -> Split:
    """Collect the shards of a split and write its coverage file, languages in the corpus's order."""
    shards: list[ShardInfo] = []
    packed: list[np.ndarray] = []
    counts = np.zeros(len(langs), np.int64)
    for result in results:
        if not result[f"{split}_shard"]:
            continue
        name, num_bytes, digest, groups = json.loads(result[f"{split}_shard"])
        shard = ShardInfo(name, num_bytes, digest, tuple((source, num) for source, num in groups))
        own = list(result["langs"])
        bits = np.frombuffer(result[f"{split}_bits"], np.uint8).reshape(shard.num_items, -1)
        full = np.zeros((shard.num_items, len(langs)), np.uint8)
        full[:, [langs.index(code) for code in own]] = np.unpackbits(bits, axis=1, count=len(own))
        counts += full.sum(axis=0, dtype=np.int64)
        packed.append(np.packbits(full, axis=1))
        shards.append(shard)
    table = np.concatenate(packed) if packed else np.zeros((0, -(-len(langs) // 8)), np.uint8)
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=False)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    name = f"{split}-coverage-{digest[:8]}.npy"
    write_whole(f"{directory}/{name}", data)
    info = FileInfo(name, len(data), digest)
    return Split(tuple(shards), info, dict(zip(langs, counts.tolist(), strict=True)))


def count_pairs(results: list[dict[str, Any]], langs: tuple[str, ...]) -> dict[str, int]:
    """`a b` -> items with both languages, a < b."""
    counts = np.zeros((len(langs), len(langs)), np.int64)
    for result in results:
        own = list(result["langs"])
        places = [langs.index(code) for code in own]
        for split in ("train", "dev"):
            packed = np.frombuffer(result[f"{split}_bits"], np.uint8).reshape(-1, -(-len(own) // 8) or 1)
            has = np.unpackbits(packed, axis=1, count=len(own)).astype(np.float32)
            counts[np.ix_(places, places)] += (has.T @ has).astype(np.int64)  # below 2^24 items a partition: exact
    pairs = ((a, b) for a in range(len(langs)) for b in range(a + 1, len(langs)))
    return {f"{langs[a]} {langs[b]}": int(counts[a, b]) for a, b in pairs if counts[a, b]}
