"""What forms a row: which items can supply it, in which streams, and the languages of its query and its passage.

An entry of `PAIRINGS` is a class of its own below: its code is in one place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.mix import Pool, StreamInfo, add_by_source, lang_weights, split_sources, wanted_sources
from hbt_ray.batches.streams import Stream
from hbt_ray.config import PlanConfig


class Pairing(ABC):
    """One way to form rows; it has no state."""

    number: ClassVar[int]
    """Its own, for good: the order of its streams is drawn from it."""
    needs: ClassVar[str]
    """What a corpus must have of `plan.batch_size`, for an error."""

    @abstractmethod
    def pool(self, index: ItemIndex, config: PlanConfig) -> Pool:
        """The streams there are for a corpus and a batch size, with their probabilities."""

    @abstractmethod
    def has(self, index: ItemIndex, group: int, langs: tuple[int, ...]) -> np.ndarray:
        """bool [items of a row group]: those that a stream of `langs` can take."""

    def counts(self, index: ItemIndex, groups: np.ndarray, langs: tuple[int, ...]) -> np.ndarray:
        """int64 [len(groups)]: how many items `has` finds in each of `groups`."""
        return np.array([self.has(index, int(group), langs).sum() for group in groups])

    def langs(
        self, index: ItemIndex, langs: tuple[int, ...], items: np.ndarray, weights: np.ndarray, key: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """int16 [n] each: languages of the queries and of the passages of `items`.

        Args:
            index: of the corpus.
            langs: of the stream.
            items: int64 [n].
            weights: float64 [num_langs], `lang_weights`.
            key: seed and step, for what is drawn.
        """
        return np.full(len(items), langs[0], np.int16), np.full(len(items), langs[-1], np.int16)

    def stream(self, index: ItemIndex, info: StreamInfo, config: PlanConfig, seed: int) -> Stream:
        """A stream of `pool` itself, ready to give batches."""
        groups = np.flatnonzero(np.isin(index.group_source, info.sources))
        counts = self.counts(index, groups, info.langs)
        used = counts > 0
        return Stream(
            groups[used],
            counts[used],
            lambda group: index.group_start[group] + np.flatnonzero(self.has(index, group, info.langs)),
            key=(seed, self.number, *info.langs, info.sources[0]),
            batch_size=config.batch_size,
            window=config.shuffle_row_groups,
        )


class Mono(Pairing):
    """X-X: question and passage in one language, the same in the whole batch; what alpha's share of the steps is.

    A language is drawn by its weight (`plan.lang_temperature`), then a source. Needs a language with a batch of items.
    Source: the paper's monolingual batches.
    """

    number = 0
    needs = "a language with that many items"

    def pool(self, index: ItemIndex, config: PlanConfig) -> Pool:
        sizes = add_by_source(index, index.lang_counts, config)
        weights = lang_weights(index, config)
        streams: list[StreamInfo] = []
        probability: list[float] = []
        short = []
        for lang, code in enumerate(index.langs):
            of_lang = split_sources(self.number, (lang,), sizes[:, lang], index, config)
            if not of_lang and sizes[:, lang].sum():
                short.append(f"{code} ({int(sizes[:, lang].sum())})")
            streams.extend(of_lang)
            probability.extend([weights[lang]] * len(of_lang))
        notes = []
        if short:
            notes.append(
                f"X-X steps leave out {len(short)} languages with fewer items than plan.batch_size="
                f"{config.batch_size}: {', '.join(short)}; only X-Y steps use them"
            )
        return Pool.of(streams, probability, notes)

    def has(self, index: ItemIndex, group: int, langs: tuple[int, ...]) -> np.ndarray:
        return np.asarray(index.has_lang(group)[:, langs[0]])

    def counts(self, index: ItemIndex, groups: np.ndarray, langs: tuple[int, ...]) -> np.ndarray:
        return np.asarray(index.lang_counts[groups, langs[0]])


class Mixed(Pairing):
    """X-Y: every row draws a language for its query and another for its passage, among those its item has.

    Each by its weight (`plan.lang_temperature`). Needs a batch of items with two languages or more. Source: the paper's
    cross-lingual batches.
    """

    number = 1
    needs = "that many such items"

    def pool(self, index: ItemIndex, config: PlanConfig) -> Pool:
        sizes = add_by_source(index, index.pool_counts[:, None], config)[:, 0]
        streams = split_sources(self.number, (), sizes, index, config)
        return Pool.of(streams, [1.0] * len(streams), [])

    def has(self, index: ItemIndex, group: int, langs: tuple[int, ...]) -> np.ndarray:
        return np.asarray(index.has_lang(group).sum(axis=1) >= 2)

    def counts(self, index: ItemIndex, groups: np.ndarray, langs: tuple[int, ...]) -> np.ndarray:
        return np.asarray(index.pool_counts[groups])

    def langs(
        self, index: ItemIndex, langs: tuple[int, ...], items: np.ndarray, weights: np.ndarray, key: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        uniforms = np.random.default_rng(key).random((2, len(items)))
        of_rows = index.langs_of(items) * weights
        query = _draw(of_rows, uniforms[0])
        of_rows[np.arange(len(items)), query] = 0
        return query.astype(np.int16), _draw(of_rows, uniforms[1]).astype(np.int16)


class Single(Pairing):
    """X-Y: one ordered language pair for the whole batch.

    A pair is drawn by the product of its languages' weights (`plan.lang_temperature`), then a source. Needs a pair
    with a batch of items; pairs with fewer are left out.
    """

    number = 2
    needs = "a language pair with that many items"

    def pool(self, index: ItemIndex, config: PlanConfig) -> Pool:
        weights = lang_weights(index, config)
        sizes = self._sizes(index)
        sizes[~wanted_sources(index, config)] = 0
        streams: list[StreamInfo] = []
        probability: list[float] = []
        num_short = 0
        for query, passage in np.argwhere(sizes.sum(axis=0) > 0):
            if query != passage:
                langs = int(query), int(passage)
                of_pair = split_sources(self.number, langs, sizes[:, query, passage], index, config)
                num_short += not of_pair
                streams.extend(of_pair)
                probability.extend([weights[query] * weights[passage]] * len(of_pair))
        notes = []
        if num_short:
            notes.append(
                f"X-Y steps of one pair leave out {num_short} ordered language pairs with fewer items than "
                f"plan.batch_size={config.batch_size}; plan.pairs=mixed uses them"
            )
        return Pool.of(streams, probability, notes)

    def has(self, index: ItemIndex, group: int, langs: tuple[int, ...]) -> np.ndarray:
        return np.asarray(index.has_lang(group)[:, list(langs)].all(axis=1))

    @staticmethod
    def _sizes(index: ItemIndex) -> np.ndarray:
        """int64 [num_sources, num_langs, num_langs]: items that have both languages."""
        sizes = np.zeros((len(index.sources), len(index.langs), len(index.langs)), np.int64)
        for group, source in enumerate(index.group_source):
            has = index.has_lang(group).astype(np.float32)
            sizes[source] += (has.T @ has).astype(np.int64)
        return sizes


MONO = Mono()
PAIRINGS: dict[str, Pairing] = {"mixed": Mixed(), "single": Single()}
"""What forms an X-Y row, by its name in `plan.pairs`."""


def _draw(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """int64 [n]: one column a row of `weights` [n, k], in proportion to the row's weights."""
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1]
    places = np.minimum(uniforms * total, np.nextafter(total, 0))  # rounding must not reach the end
    return np.asarray((cumulative <= places[:, None]).sum(axis=1), np.int64)
