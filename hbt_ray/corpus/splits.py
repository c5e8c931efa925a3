"""The results of a corpus's partitions put together: shards, coverage, pairs of languages and token statistics."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.manifest import ShardInfo, Split, write_file
from hbt_ray.corpus.shards import PartitionStats


@dataclass(frozen=True)
class PartitionResult:
    """What the task of a partition gives back."""

    langs: list[str]
    stats: PartitionStats
    shards: dict[str, tuple[ShardInfo, np.ndarray]] = field(default_factory=dict)
    """Split -> its shard, and which item has which of `langs` as packed bits [items, ceil(languages / 8)]."""


def merge_split(split: str, directory: str, results: list[PartitionResult], langs: tuple[str, ...]) -> Split:
    """Collect the shards of a split and write its coverage file, languages in the corpus's order."""
    shards: list[ShardInfo] = []
    packed = [np.zeros((0, -(-len(langs) // 8)), np.uint8)]
    counts = np.zeros(len(langs), np.int64)
    for result in results:
        if split not in result.shards:
            continue
        shard, bits = result.shards[split]
        has = np.zeros((shard.num_items, len(langs)), np.uint8)
        columns = [langs.index(code) for code in result.langs]
        has[:, columns] = np.unpackbits(bits, axis=1, count=len(columns))
        counts += has.sum(axis=0, dtype=np.int64)
        packed.append(np.packbits(has, axis=1))
        shards.append(shard)
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(packed), allow_pickle=False)
    coverage = write_file(directory, f"{split}-coverage", ".npy", buffer.getvalue())
    return Split(tuple(shards), coverage, dict(zip(langs, counts.tolist(), strict=True)))


def count_pairs(results: list[PartitionResult], langs: tuple[str, ...]) -> dict[str, int]:
    """`a b` -> items with both languages, a < b."""
    counts = np.zeros((len(langs), len(langs)), np.int64)
    for result in results:
        columns = [langs.index(code) for code in result.langs]
        for _, bits in result.shards.values():
            has = np.unpackbits(bits, axis=1, count=len(columns)).astype(np.float32)
            counts[np.ix_(columns, columns)] += (has.T @ has).astype(np.int64)  # below 2^24 items a partition: exact
    pairs = ((a, b) for a in range(len(langs)) for b in range(a + 1, len(langs)))
    return {f"{langs[a]} {langs[b]}": int(counts[a, b]) for a, b in pairs if counts[a, b]}


def token_table(stats: PartitionStats, config: CorpusConfig) -> dict[str, dict[str, dict[str, float]]]:
    """Language -> role -> mean, p50, p95, max (tokens) and cut (share of texts at the length limit)."""
    limits = {"query": config.max_query_tokens, "passage": config.max_passage_tokens}
    histograms = {"query": stats.query_tokens, "passage": stats.passage_tokens}
    return {
        lang: {role: _summary(histograms[role][lang], limits[role]) for role in limits}
        for lang in sorted(stats.query_tokens)
    }


def _summary(histogram: Counter[int], limit: int) -> dict[str, float]:
    lengths = np.array(sorted(histogram), np.int64)
    counts = np.array([histogram[int(length)] for length in lengths], np.int64)
    below = np.cumsum(counts) / counts.sum()
    return {
        "mean": round(float((lengths * counts).sum() / counts.sum()), 2),
        "p50": float(lengths[np.searchsorted(below, 0.5)]),
        "p95": float(lengths[np.searchsorted(below, 0.95)]),
        "max": float(lengths[-1]),
        "cut": round(float(counts[lengths >= limit].sum() / counts.sum()), 4),
    }
