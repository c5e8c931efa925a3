"""The streams of one kind of step, and the probability of each.

Language first, then the source in proportion to its size (or its weight) among those that have the language. A
source too small to fill a batch in a language is not thrown away: such sources are pooled, and where even the
pool is too small it joins the smallest source that is large enough. A language with fewer items than a batch
cannot be X-X at all, because no item may be in a batch twice; `Pool.notes` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hbt_ray.batches.index import ItemIndex
from hbt_ray.config import PlanConfig
from hbt_ray.errors import PlanError


@dataclass(frozen=True)
class StreamInfo:
    """A stream by what it is made of; `langs` is one language (X-X), a pair, or empty (rows draw them)."""

    pairing: int
    """Number of the pairing that forms its rows."""
    langs: tuple[int, ...]
    sources: tuple[int, ...]
    size: int
    weight: float
    """Among the streams of the same languages and kind: the weights of its sources, their items where none is set."""
    kind: int = 0
    """Of the steps of its pairing, where there are several."""


@dataclass
class Pool:
    """The streams of X-X steps, or of X-Y steps, with the probability of each."""

    streams: list[StreamInfo] = field(default_factory=list)
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros(0))
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def of(streams: list[StreamInfo], by_langs: list[float], notes: list[str]) -> Pool:
        """P(stream) = P(its languages and kind) x P(its sources | those); `by_langs` is the former, up to a factor."""
        totals: dict[tuple[tuple[int, ...], int], float] = {}
        for info in streams:
            totals[info.langs, info.kind] = totals.get((info.langs, info.kind), 0.0) + info.weight
        share = np.array([info.weight / totals[info.langs, info.kind] for info in streams])
        weights = share * np.array(by_langs)
        return Pool(streams, weights / weights.sum() if weights.sum() > 0 else weights, notes)


def lang_weights(index: ItemIndex, config: PlanConfig) -> np.ndarray:
    """float64 [num_langs]: relative weight of each language, items^(1/T), or 1 where T is null (uniform)."""
    counts = add_by_source(index, index.lang_counts, config).sum(axis=0)
    if config.lang_temperature is None:
        return np.asarray(counts > 0, np.float64)
    share = counts / counts.max(initial=1)  # neither overflow nor a language of no weight at a small T
    return np.where(counts > 0, np.maximum(share ** (1 / config.lang_temperature), 1e-100), 0.0)


def add_by_source(index: ItemIndex, counts: np.ndarray, config: PlanConfig) -> np.ndarray:
    """int64 [num_sources, n]: per-group counts [num_groups, n] added up by source; 0 for sources of weight 0."""
    out = np.zeros((len(index.sources), counts.shape[1]), np.int64)
    np.add.at(out, index.group_source, counts)
    out[~wanted_sources(index, config)] = 0
    return out


def wanted_sources(index: ItemIndex, config: PlanConfig) -> np.ndarray:
    """bool [num_sources]: the sources whose weight is not set to 0; PlanError for a weight of another source."""
    for name in config.source_weights:
        if name not in index.sources:
            raise PlanError(
                f"plan.source_weights.{name}: the corpus has no such source; it has {', '.join(index.sources)}"
            )
    return np.array([config.source_weights.get(name, 1.0) > 0 for name in index.sources], bool)


def split_sources(
    pairing: int,
    langs: tuple[int, ...],
    sizes: np.ndarray,
    index: ItemIndex,
    config: PlanConfig,
    num_items: int,
    kind: int = 0,
) -> list[StreamInfo]:
    """Streams over sources of the given sizes, `num_items` a batch: large ones alone, the small ones pooled."""
    present = np.flatnonzero(sizes)
    large = sorted((s for s in present if sizes[s] >= num_items), key=lambda s: (-sizes[s], s))
    small = [s for s in present if sizes[s] < num_items]
    parts = [[int(s)] for s in large]
    pooled = int(sizes[small].sum()) if small else 0
    if pooled >= num_items:
        parts.append([int(s) for s in small])
    elif pooled and parts:
        parts[-1] += [int(s) for s in small]
    weight = {int(s): float(config.source_weights.get(index.sources[s], sizes[s])) for s in present}
    return [
        StreamInfo(pairing, langs, tuple(sorted(part)), int(sizes[part].sum()), sum(weight[s] for s in part), kind)
        for part in parts
    ]
