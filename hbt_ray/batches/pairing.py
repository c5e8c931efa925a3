"""What forms a row, by name; an entry of `PAIRINGS` is a class of its own: its code is in one place."""

from __future__ import annotations

import numpy as np

from hbt_ray.batches.forming import Pairing, draw_columns
from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.mix import Pool, StreamInfo, add_by_source, lang_weights, split_sources, wanted_sources
from hbt_ray.batches.multiway import Multiway
from hbt_ray.batches.weighted import Anchored, Clusters, Independent
from hbt_ray.config import PlanConfig


class Mono(Pairing):
    """X-X: question and passage in one language, the same in the whole batch; what alpha's share of the steps is.

    A language is drawn by its weight (`plan.lang_temperature`), then a source. Needs a language with a batch of items.
    Source: the paper's monolingual batches.
    """

    number = 0
    needs = "a language with that many items"

    def make_pool(self) -> Pool:
        index, config = self.index, self.config
        sizes = add_by_source(index, index.lang_counts, config)
        weights = lang_weights(index, config)
        streams: list[StreamInfo] = []
        probability: list[float] = []
        short = []
        for lang, code in enumerate(index.langs):
            of_lang = split_sources(self.number, (lang,), sizes[:, lang], index, config, config.batch_size)
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

    def has(self, group: int, info: StreamInfo) -> np.ndarray:
        return self.index.has_lang(group, info.langs[0])

    def counts(self, groups: np.ndarray, info: StreamInfo) -> np.ndarray:
        return np.asarray(self.index.lang_counts[groups, info.langs[0]])


class Mixed(Pairing):
    """X-Y: every row draws a language for its query and another for its passage, among those its item has.

    Each by its weight (`plan.lang_temperature`). Needs a batch of items with two languages or more. Source: the paper's
    cross-lingual batches.
    """

    number = 1
    needs = "that many such items"

    def __init__(self, index: ItemIndex, config: PlanConfig) -> None:
        super().__init__(index, config)
        self._weights = lang_weights(index, config)

    def make_pool(self) -> Pool:
        index, config = self.index, self.config
        sizes = add_by_source(index, index.pool_counts[:, None], config)[:, 0]
        streams = split_sources(self.number, (), sizes, index, config, self.items_per_batch)
        return Pool.of(streams, [1.0] * len(streams), [])

    def has(self, group: int, info: StreamInfo) -> np.ndarray:
        return np.asarray(self.index.langs_in(group).sum(axis=1) >= 2)

    def counts(self, groups: np.ndarray, info: StreamInfo) -> np.ndarray:
        return np.asarray(self.index.pool_counts[groups])

    def langs(self, info: StreamInfo, items: np.ndarray, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        uniforms = np.random.default_rng(key).random((2, len(items)))
        of_rows = self.index.langs_of(items) * self._weights
        query = draw_columns(of_rows, uniforms[0])
        of_rows[np.arange(len(items)), query] = 0
        return query.astype(np.int16), draw_columns(of_rows, uniforms[1]).astype(np.int16)


class Single(Pairing):
    """X-Y: one ordered language pair for the whole batch.

    A pair is drawn by the product of its languages' weights (`plan.lang_temperature`), then a source. Needs a pair
    with a batch of items; pairs with fewer are left out.
    """

    number = 2
    needs = "a language pair with that many items"

    def __init__(self, index: ItemIndex, config: PlanConfig) -> None:
        super().__init__(index, config)
        # items of a pair in every row group: a stream of it is then made without a look at its items
        self._counts = index.pair_counts()

    def make_pool(self) -> Pool:
        index, config = self.index, self.config
        weights = lang_weights(index, config)
        wanted = wanted_sources(index, config)
        streams: list[StreamInfo] = []
        probability: list[float] = []
        num_short = 0
        for query in range(len(index.langs)):
            for passage in range(len(index.langs)):
                if query == passage:
                    continue
                per_group = self._counts[index.pair_number(query, passage)]
                sizes = np.bincount(index.group_source, per_group, len(index.sources)).astype(np.int64) * wanted
                if not sizes.any():
                    continue
                of_pair = split_sources(self.number, (query, passage), sizes, index, config, config.batch_size)
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

    def has(self, group: int, info: StreamInfo) -> np.ndarray:
        query, passage = info.langs
        return np.asarray(self.index.has_lang(group, query) & self.index.has_lang(group, passage))

    def counts(self, groups: np.ndarray, info: StreamInfo) -> np.ndarray:
        query, passage = info.langs
        return np.asarray(self._counts[self.index.pair_number(query, passage)][groups])


PAIRINGS: dict[str, type[Pairing]] = {
    "mixed": Mixed,
    "single": Single,
    "anchored": Anchored,
    "any": Independent,
    "multiway": Multiway,
    "clusters": Clusters,
}
"""What forms an X-Y row, by its name in `plan.pairs`."""
