"""Several languages of an item at once."""

from __future__ import annotations

import numpy as np

from hbt_ray.batches.forming import Pairing, draw_columns
from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.mix import Pool, StreamInfo, add_by_source, lang_weights, split_sources
from hbt_ray.config import PlanConfig
from hbt_ray.errors import PlanError


class Multiway(Pairing):
    """X-Y: every item takes part in `plan.ways` languages at once, drawn without replacement by their weights.

    An item makes `plan.ways` rows, one after the other, so that they are on one worker: the query in each of its
    languages, with the passage in the next of them, the last with the first. With the term `multiway` of the loss each
    query has the passages of all other languages as positives. Needs a batch of items with that many languages, and a
    batch size that is a multiple of them. Source: views of an item as each other's positives, as in SupCon
    (arXiv 2004.11362).
    """

    number = 5
    needs = "plan.batch_size / plan.ways items with plan.ways languages"

    def __init__(self, index: ItemIndex, config: PlanConfig) -> None:
        super().__init__(index, config)
        if config.batch_size % config.ways:
            raise PlanError(
                f"plan.batch_size={config.batch_size}: with plan.pairs=multiway it has to be a multiple of plan.ways="
                f"{config.ways}"
            )
        self._weights = lang_weights(index, config)

    @property
    def rows_per_item(self) -> int:
        return self.config.ways

    def make_pool(self) -> Pool:
        index, config = self.index, self.config
        self._counts = np.zeros(len(index.group_source), np.int32)
        for group in range(len(self._counts)):
            self._counts[group] = (index.langs_in(group).sum(axis=1) >= config.ways).sum()
        sizes = add_by_source(index, self._counts[:, None], config)[:, 0]
        streams = split_sources(self.number, (), sizes, index, config, self.items_per_batch)
        return Pool.of(streams, [1.0] * len(streams), [])

    def has(self, group: int, info: StreamInfo) -> np.ndarray:
        return np.asarray(self.index.langs_in(group).sum(axis=1) >= self.config.ways)

    def counts(self, groups: np.ndarray, info: StreamInfo) -> np.ndarray:
        return np.asarray(self._counts[groups])

    def langs(self, info: StreamInfo, items: np.ndarray, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        uniforms = np.random.default_rng(key).random((self.config.ways, len(items)))
        left = self.index.langs_of(items) * self._weights
        drawn = np.zeros((len(items), self.config.ways), np.int16)
        for way, of_way in enumerate(uniforms):
            drawn[:, way] = draw_columns(left, of_way)
            left[np.arange(len(items)), drawn[:, way]] = 0
        return drawn.ravel(), np.roll(drawn, -1, axis=1).ravel()
