"""Where every item lies and which languages it has, at a few bytes an item.

Items are numbered 0 .. num_items - 1 in the order of shards and rows; that number is the `item_id` of a batch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy

import numpy as np

from hbt_ray.corpus.manifest import Corpus


class ItemIndex:
    """Row groups of a split with the languages of their items.

    Attributes:
        langs: language codes; a language is its position here.
        sources: source names; a source is its position here.
        group_start: int64 [num_groups + 1], number of the first item of each row group.
        group_source: int32 [num_groups].
        group_shard, group_row_group: int32 [num_groups], where to read a group.
        lang_counts: int32 [num_groups, num_langs], items of the group that have the language.
        pool_counts: int32 [num_groups], items of the group with two languages or more.
    """

    def __init__(self, langs: Sequence[str], shards: Sequence[Sequence[tuple[str, int]]], packed: np.ndarray) -> None:
        """`shards`: (source, number of items) of the row groups of each shard; `packed`: uint8 coverage bits."""
        self.langs = tuple(langs)
        groups = [(s, g, source, num) for s, shard in enumerate(shards) for g, (source, num) in enumerate(shard)]
        self.sources = tuple(sorted({source for _, _, source, _ in groups}))
        self.group_shard = np.array([group[0] for group in groups], np.int32)
        self.group_row_group = np.array([group[1] for group in groups], np.int32)
        self.group_source = np.array([self.sources.index(group[2]) for group in groups], np.int32)
        self.group_start = np.r_[0, np.cumsum([group[3] for group in groups], dtype=np.int64)].astype(np.int64)
        self._packed = packed
        if self.num_items != len(packed):
            raise ValueError(f"{self.num_items} items in the row groups, {len(packed)} rows of coverage")
        self.lang_counts, self.pool_counts = self._count()

    @staticmethod
    def of(corpus: Corpus, split: str = "train") -> ItemIndex:
        """The index of one split of a prepared corpus."""
        shards = [shard.row_groups for shard in corpus.manifest.splits[split].shards]
        return ItemIndex(corpus.manifest.langs, shards, corpus.packed_coverage(split))

    def only(self, langs: Collection[str]) -> ItemIndex:
        """The same items, under the same numbers, with no other languages than `langs`; some may have none left."""
        kept = copy(self)
        kept._packed = self._packed & np.packbits([lang in langs for lang in self.langs])
        kept.lang_counts, kept.pool_counts = kept._count()
        return kept

    @property
    def num_items(self) -> int:
        """Items in all row groups."""
        return int(self.group_start[-1])

    def group_of(self, items: np.ndarray) -> np.ndarray:
        """int64 [n]: the row group of each item."""
        return np.searchsorted(self.group_start, items, side="right") - 1

    def langs_of(self, items: np.ndarray) -> np.ndarray:
        """bool [n, num_langs]: the languages of each item."""
        return np.unpackbits(self._packed[items], axis=1, count=len(self.langs)).astype(bool)

    def has_lang(self, group: int, lang: int) -> np.ndarray:
        """bool [items of a row group]: those that have the language."""
        start, stop = self.group_start[group], self.group_start[group + 1]
        return np.asarray(self._packed[start:stop, lang >> 3] & (128 >> (lang & 7)) != 0)

    def pair_number(self, a: int, b: int) -> int:
        """Row of `pair_counts` of two languages, in whatever order."""
        low, high = min(a, b), max(a, b)
        return low * (2 * len(self.langs) - low - 3) // 2 + high - 1

    def pair_counts(self) -> np.ndarray:
        """uint16 [num_pairs, num_groups]: items of each row group that have both languages of a pair a < b."""
        upper = np.triu_indices(len(self.langs), 1)
        counts = np.zeros((len(upper[0]), len(self.group_source)), np.uint16)  # a row group has at most 8,192 items
        for group in range(counts.shape[1]):
            has = self.langs_in(group).astype(np.float32)
            counts[:, group] = (has.T @ has)[upper]
        return counts

    def patterns(self, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(bool [p, num_langs], int64 [p]): the sets of languages that items of `sources` [bool] have, and how many."""
        packed = self._packed[np.repeat(sources[self.group_source], np.diff(self.group_start))]
        rows, counts = np.unique(packed, axis=0, return_counts=True)
        return np.unpackbits(rows, axis=1, count=len(self.langs)).astype(bool), counts

    def langs_in(self, group: int) -> np.ndarray:
        """bool [items of a row group, num_langs]: the languages of each item."""
        start, stop = self.group_start[group], self.group_start[group + 1]
        return np.unpackbits(self._packed[start:stop], axis=1, count=len(self.langs)).astype(bool)

    def _count(self) -> tuple[np.ndarray, np.ndarray]:
        num_groups = len(self.group_start) - 1
        per_lang = np.zeros((num_groups, len(self.langs)), np.int32)
        pool = np.zeros(num_groups, np.int32)
        for group in range(num_groups):
            has = self.langs_in(group)
            per_lang[group] = has.sum(axis=0)
            pool[group] = (has.sum(axis=1) >= 2).sum()
        return per_lang, pool
