"""What every pairing is: which items can supply its rows, in which streams, and the languages of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.mix import Pool, StreamInfo
from hbt_ray.batches.streams import Stream
from hbt_ray.config import PlanConfig


class Pairing(ABC):
    """One way to form rows, for a corpus and a plan.

    Attributes:
        index, config: of the corpus, and the plan's.
    """

    number: ClassVar[int]
    """Its own, for good: the order of its streams is drawn from it."""
    needs: ClassVar[str]
    """What a corpus must have of `plan.batch_size`, for an error."""
    can_equal: ClassVar[bool] = False
    """Whether `plan.equal_pairs` has a meaning."""

    def __init__(self, index: ItemIndex, config: PlanConfig) -> None:
        self.index, self.config = index, config
        self._groups_of = lru_cache(maxsize=64)(self._find_groups)

    @property
    def rows_per_item(self) -> int:
        """Rows of a batch that an item makes, one after the other."""
        return 1

    @property
    def items_per_batch(self) -> int:
        """Items that a stream gives a batch."""
        return self.config.batch_size // self.rows_per_item

    @cached_property
    def pool(self) -> Pool:
        """The streams there are, with their probabilities.

        Raises:
            PlanError: `plan.source_weights` names a source that the corpus does not have.
        """
        return self.make_pool()

    @abstractmethod
    def make_pool(self) -> Pool:
        """As `pool`, which keeps it."""

    @abstractmethod
    def has(self, group: int, info: StreamInfo) -> np.ndarray:
        """bool [items of a row group]: those that a stream can take."""

    @abstractmethod
    def counts(self, groups: np.ndarray, info: StreamInfo) -> np.ndarray:
        """int [len(groups)]: how many items `has` finds in each of `groups`."""

    def langs(self, info: StreamInfo, items: np.ndarray, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """int16 [n * rows_per_item] each: languages of the queries and of the passages.

        Args:
            info: the stream.
            items: int64 [n].
            key: seed and step, for what is drawn.
        """
        return np.full(len(items), info.langs[0], np.int16), np.full(len(items), info.langs[-1], np.int16)

    def stream(self, info: StreamInfo, seed: int) -> Stream:
        """A stream of the pool itself, ready to give batches."""
        groups = self._groups_of(info.sources)
        counts = self.counts(groups, info)
        used = counts > 0
        return Stream(
            groups[used],
            counts[used],
            lambda group: self.index.group_start[group] + np.flatnonzero(self.has(group, info)),
            key=(seed, info.pairing, *info.langs, *[info.kind] * (info.kind > 0), info.sources[0]),
            batch_size=self.items_per_batch,
            window=self.config.shuffle_row_groups,
        )

    def _find_groups(self, sources: tuple[int, ...]) -> np.ndarray:
        return np.flatnonzero(np.isin(self.index.group_source, sources)).astype(np.int32)


def draw_columns(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """int64 [n]: one column a row of `weights` [n, k], in proportion to the row's weights."""
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1]
    places = np.minimum(uniforms * total, np.nextafter(total, 0))  # rounding must not reach the end
    return np.asarray((cumulative <= places[:, None]).sum(axis=1), np.int64)
