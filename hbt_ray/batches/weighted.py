"""Pairings in which every row draws an ordered pair of languages by its weight: the weights are the pairing."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import numpy as np

from hbt_ray.batches.clusters import check_partition, make_partition
from hbt_ray.batches.equal import equal_weights
from hbt_ray.batches.forming import Pairing, draw_columns
from hbt_ray.batches.mix import Pool, StreamInfo, add_by_source, lang_weights, split_sources, wanted_sources
from hbt_ray.errors import PlanError
from hbt_ray.languages import canonical_lang


class Weighted(Pairing):
    """Every row draws a pair (query, passage) in proportion to its weight among the pairs that its item has.

    A kind of step has weights of its own; its streams hold the items that have one of its pairs at least.
    """

    can_equal = True

    @abstractmethod
    def weights_of_kinds(self) -> list[tuple[float, np.ndarray]]:
        """Share of the steps and float64 [num_langs, num_langs] of every kind; 0 for pairs that never come."""

    @cached_property
    def kinds(self) -> list[tuple[float, np.ndarray]]:
        """As `weights_of_kinds`, with other weights where `plan.equal_pairs` asks for them."""
        kinds = self.weights_of_kinds()
        if not self.config.equal_pairs:
            return kinds
        patterns, counts = self.index.patterns(wanted_sources(self.index, self.config))
        return [(share, equal_weights(weights > 0, patterns, counts)) for share, weights in kinds]

    @cached_property
    def _group_counts(self) -> np.ndarray:
        """int32 [num_kinds, num_groups]: items of each row group that have a pair of each kind."""
        allowed = [(weights > 0).astype(np.float32) for _, weights in self.kinds]
        counts = np.zeros((len(allowed), len(self.index.group_source)), np.int32)
        for group in range(counts.shape[1]):
            has = self.index.langs_in(group)
            for kind, pairs in enumerate(allowed):
                counts[kind, group] = _have_pair(has, pairs).sum()
        return counts

    def make_pool(self) -> Pool:
        index, config = self.index, self.config
        streams: list[StreamInfo] = []
        probability: list[float] = []
        for kind, (share, _) in enumerate(self.kinds):
            if not share:
                continue
            sizes = add_by_source(index, self._group_counts[kind][:, None], config)[:, 0]
            of_kind = split_sources(self.number, (), sizes, index, config, self.items_per_batch, kind)
            streams.extend(of_kind)
            probability.extend([share] * len(of_kind))
        return Pool.of(streams, probability, [])

    def has(self, group: int, info: StreamInfo) -> np.ndarray:
        return _have_pair(self.index.langs_in(group), (self.kinds[info.kind][1] > 0).astype(np.float32))

    def counts(self, groups: np.ndarray, info: StreamInfo) -> np.ndarray:
        return np.asarray(self._group_counts[info.kind][groups])

    def langs(self, info: StreamInfo, items: np.ndarray, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        uniforms = np.random.default_rng(key).random((2, len(items)))
        has, weights = self.index.langs_of(items).astype(np.float64), self.kinds[info.kind][1]
        query = draw_columns(has * (has @ weights.T), uniforms[0])
        passage = draw_columns(has * weights[query], uniforms[1])
        return query.astype(np.int16), passage.astype(np.int16)


class Anchored(Weighted):
    """X-Y: one side of every row is `plan.anchor_lang`, as often the query's as the passage's.

    The other language is drawn by its weight (`plan.lang_temperature`) among those its item has. Needs a batch of items
    with the anchor and another language. Source: the usual practice of English-centric parallel data, as in LaBSE
    (arXiv 2007.01852).
    """

    number = 3
    needs = "that many items with plan.anchor_lang and another language"

    def weights_of_kinds(self) -> list[tuple[float, np.ndarray]]:
        code = self.config.anchor_lang
        if not code or canonical_lang(code) not in self.index.langs:
            raise PlanError(
                f"plan.anchor_lang={code!r}: plan.pairs=anchored needs a language of the corpus; it has "
                f"{', '.join(self.index.langs)}"
            )
        anchor = self.index.langs.index(canonical_lang(code))
        of_lang = lang_weights(self.index, self.config)
        weights = np.zeros((len(of_lang), len(of_lang)))
        weights[anchor], weights[:, anchor] = of_lang, of_lang
        weights[anchor, anchor] = 0
        return [(1.0, weights)]


class Independent(Weighted):
    """X-Y: query and passage language are drawn independently among the item's, and may be the same.

    Each by its weight (`plan.lang_temperature`; 1 is in proportion to the languages' items). Needs a batch of items.
    Source: the usual practice of training on all rows of a multilingual corpus at once, as in mE5 (arXiv 2402.05672).
    """

    number = 4
    needs = "that many items"

    def weights_of_kinds(self) -> list[tuple[float, np.ndarray]]:
        of_lang = lang_weights(self.index, self.config)
        return [(1.0, np.outer(of_lang, of_lang))]


class Clusters(Weighted):
    """X-Y: `plan.gamma` of the steps pair languages of one cluster in every row, the others languages of two.

    Rows draw their pair by the product of its languages' weights (`plan.lang_temperature`), or all pairs alike
    (`plan.equal_pairs`); different rows may be of different clusters. Needs a batch of items with such a pair for each
    kind of step, and four languages or more. Source: clusters as in arXiv 1908.09324 (language families, embeddings),
    with a random partition of the same sizes as the control.
    """

    number = 6
    needs = "that many items with a pair of languages of each kind of step (plan.gamma, plan.clusters)"

    def weights_of_kinds(self) -> list[tuple[float, np.ndarray]]:
        config, of_lang = self.config, lang_weights(self.index, self.config)
        used = tuple(code for code, weight in zip(self.index.langs, of_lang, strict=True) if weight)
        cluster = np.full(len(of_lang), -1)
        cluster[of_lang > 0] = check_partition(config.partition or make_partition(config.clusters, used), used)
        weights = np.outer(of_lang, of_lang)
        np.fill_diagonal(weights, 0)
        within = cluster[:, None] == cluster
        return [(config.gamma, weights * within), (1 - config.gamma, weights * ~within)]

    def make_pool(self) -> Pool:
        pool = super().make_pool()
        kinds = {info.kind for info in pool.streams}
        for kind, (share, _) in enumerate(self.kinds):
            if share and pool.streams and kind not in kinds:
                where = ("of one cluster", "of two clusters")[kind]
                raise PlanError(
                    f"plan.gamma={self.config.gamma}: fewer than plan.batch_size={self.config.batch_size} items have a "
                    f"pair of languages {where}; lower the batch size, or set plan.gamma={kind:g}"
                )
        return pool


def _have_pair(has: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """bool [n]: whether an item with the languages `has` [n, num_langs] has one of `pairs` [num_langs, num_langs]."""
    return np.asarray(((has @ pairs) * has).any(axis=1))
