"""Token statistics of a prepared corpus, from histograms that partitions add up."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.shards import PartitionStats


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
