"""Which streams there are for a corpus and a batch size, and with what probability each is drawn.

Language first, then the source in proportion to its size (or its weight) among those that have the language. A
source too small to fill a batch in a language is not thrown away: such sources are pooled, and where even the
pool is too small it joins the smallest source that is large enough. A language with fewer items than a batch
cannot be X-X at all, because no item may be in a batch twice; `Pool.notes` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.streams import Stream
from hbt_ray.config import PlanConfig
from hbt_ray.errors import PlanError

MONO, CROSS, PAIR = 0, 1, 2


@dataclass(frozen=True)
class StreamInfo:
    """A stream by what it is made of; `langs` is one language (X-X), a pair, or empty (mixed X-Y)."""

    kind: int
    langs: tuple[int, ...]
    sources: tuple[int, ...]
    size: int
    weight: float
    """Among the streams of the same languages: the weights of its sources, their items where none is set."""


@dataclass
class Pool:
    """The streams of X-X steps, or of X-Y steps, with the probability of each."""

    streams: list[StreamInfo] = field(default_factory=list)
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros(0))
    notes: list[str] = field(default_factory=list)


def lang_weights(index: ItemIndex, config: PlanConfig) -> np.ndarray:
    """float64 [num_langs]: relative weight of each language, items^(1/T), or 1 where T is null (uniform)."""
    counts = _by_source(index, index.lang_counts, config).sum(axis=0)
    if config.lang_temperature is None:
        return np.asarray(counts > 0, np.float64)
    share = counts / counts.max(initial=1)  # neither overflow nor a language of no weight at a small T
    return np.where(counts > 0, np.maximum(share ** (1 / config.lang_temperature), 1e-100), 0.0)


def mono_mix(index: ItemIndex, config: PlanConfig) -> Pool:
    """Streams of X-X steps."""
    sizes = _by_source(index, index.lang_counts, config)
    weights = lang_weights(index, config)
    mix, lang_probability = Pool(), []
    short = []
    for lang, code in enumerate(index.langs):
        streams = _split_sources(MONO, (lang,), sizes[:, lang], index, config)
        if not streams and sizes[:, lang].sum():
            short.append(f"{code} ({int(sizes[:, lang].sum())})")
        mix.streams.extend(streams)
        lang_probability.extend([weights[lang]] * len(streams))
    if short:
        mix.notes.append(
            f"X-X steps leave out {len(short)} languages with fewer items than plan.batch_size="
            f"{config.batch_size}: {', '.join(short)}; only X-Y steps use them"
        )
    return _with_probabilities(mix, lang_probability)


def cross_mix(index: ItemIndex, config: PlanConfig) -> Pool:
    """Streams of X-Y steps: by source (`mixed`), or by ordered language pair and source (`single`)."""
    if config.pairs == "mixed":
        sizes = _by_source(index, index.pool_counts[:, None], config)[:, 0]
        mix = Pool(_split_sources(CROSS, (), sizes, index, config))
        return _with_probabilities(mix, [1.0] * len(mix.streams))
    weights = lang_weights(index, config)
    sizes = _pair_sizes(index)
    sizes[~_wanted(index, config)] = 0
    mix, pair_probability = Pool(), []
    num_short = 0
    for query, passage in np.argwhere(sizes.sum(axis=0) > 0):
        if query != passage:
            streams = _split_sources(PAIR, (int(query), int(passage)), sizes[:, query, passage], index, config)
            num_short += not streams
            mix.streams.extend(streams)
            pair_probability.extend([weights[query] * weights[passage]] * len(streams))
    if num_short:
        mix.notes.append(
            f"X-Y steps of one pair leave out {num_short} ordered language pairs with fewer items than "
            f"plan.batch_size={config.batch_size}; plan.pairs=mixed uses them"
        )
    return _with_probabilities(mix, pair_probability)


def make_stream(index: ItemIndex, info: StreamInfo, config: PlanConfig, seed: int) -> Stream:
    """The stream itself, ready to give batches."""
    groups = np.flatnonzero(np.isin(index.group_source, info.sources))
    members = MEMBERS[info.kind](index, info.langs)
    if info.kind == MONO:
        counts = index.lang_counts[groups, info.langs[0]]
    elif info.kind == CROSS:
        counts = index.pool_counts[groups]
    else:
        counts = np.array([len(members(int(group))) for group in groups])
    used = counts > 0
    key = (seed, info.kind, *info.langs, info.sources[0])
    return Stream(
        groups[used],
        counts[used],
        members,
        key=key,
        batch_size=config.batch_size,
        window=config.shuffle_row_groups,
    )


def _by_source(index: ItemIndex, counts: np.ndarray, config: PlanConfig) -> np.ndarray:
    """int64 [num_sources, n]: per-group counts [num_groups, n] added up by source; 0 for sources of weight 0."""
    out = np.zeros((len(index.sources), counts.shape[1]), np.int64)
    np.add.at(out, index.group_source, counts)
    out[~_wanted(index, config)] = 0
    return out


def _wanted(index: ItemIndex, config: PlanConfig) -> np.ndarray:
    """bool [num_sources]: the sources whose weight is not set to 0."""
    for name in config.source_weights:
        if name not in index.sources:
            raise PlanError(
                f"plan.source_weights.{name}: the corpus has no such source; it has {', '.join(index.sources)}"
            )
    return np.array([config.source_weights.get(name, 1.0) > 0 for name in index.sources], bool)


def _pair_sizes(index: ItemIndex) -> np.ndarray:
    """int64 [num_sources, num_langs, num_langs]: items that have both languages."""
    sizes = np.zeros((len(index.sources), len(index.langs), len(index.langs)), np.int64)
    for group, source in enumerate(index.group_source):
        has = index.has_lang(group).astype(np.float32)
        sizes[source] += (has.T @ has).astype(np.int64)
    return sizes


def _split_sources(
    kind: int, langs: tuple[int, ...], sizes: np.ndarray, index: ItemIndex, config: PlanConfig
) -> list[StreamInfo]:
    """Streams over sources of the given sizes: large ones alone, the small ones pooled."""
    present = np.flatnonzero(sizes)
    large = sorted((s for s in present if sizes[s] >= config.batch_size), key=lambda s: (-sizes[s], s))
    small = [s for s in present if sizes[s] < config.batch_size]
    parts = [[int(s)] for s in large]
    pooled = int(sizes[small].sum()) if small else 0
    if pooled >= config.batch_size:
        parts.append([int(s) for s in small])
    elif pooled and parts:
        parts[-1] += [int(s) for s in small]
    weight = {int(s): float(config.source_weights.get(index.sources[s], sizes[s])) for s in present}
    return [
        StreamInfo(kind, langs, tuple(sorted(part)), int(sizes[part].sum()), sum(weight[s] for s in part))
        for part in parts
    ]


def _with_probabilities(mix: Pool, outer: list[float]) -> Pool:
    """P(stream) = P(its languages) x P(its sources | its languages)."""
    totals: dict[tuple[int, ...], float] = {}
    for info in mix.streams:
        totals[info.langs] = totals.get(info.langs, 0.0) + info.weight
    share = np.array([info.weight / totals[info.langs] for info in mix.streams])
    weights = share * np.array(outer)
    mix.probabilities = weights / weights.sum() if weights.sum() > 0 else weights
    return mix


def _mono_members(index: ItemIndex, langs: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    return lambda group: index.group_start[group] + np.flatnonzero(index.has_lang(group)[:, langs[0]])


def _cross_members(index: ItemIndex, langs: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    return lambda group: index.group_start[group] + np.flatnonzero(index.has_lang(group).sum(axis=1) >= 2)


def _pair_members(index: ItemIndex, langs: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    return lambda group: index.group_start[group] + np.flatnonzero(index.has_lang(group)[:, list(langs)].all(axis=1))


MEMBERS: dict[int, Callable[[ItemIndex, tuple[int, ...]], Callable[[int], np.ndarray]]] = {
    MONO: _mono_members,
    CROSS: _cross_members,
    PAIR: _pair_members,
}
