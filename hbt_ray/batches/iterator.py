"""The hybrid-batch iterator: a data set over STEPS, not over rows.

A rank's data set has a block a chunk of steps. A task looks the plan up for its chunk, reads the rows that the plan
names for the rank and returns a slice a step. Nodes without a GPU can do the reading; resuming is a data set that
begins at another step; every rank has the same number of steps by construction, and none waits for what another
reads. `hbt_ray.training.dataset` is its Ray Data side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.plan import BatchPlan
from hbt_ray.batches.row_reader import RowReader
from hbt_ray.batches.slices import Slice, from_table, to_table
from hbt_ray.config import PlanConfig
from hbt_ray.corpus.manifest import Corpus

MAX_BLOCKS = 8192
MAX_CHUNK_STEPS = 32
BLOCK_ROWS = 2048


@dataclass(frozen=True)
class BatchSource:
    """All that decides the batches of a run; small, hashable, and the same on every worker."""

    directory: str
    """Prepared corpus."""
    plan: PlanConfig
    seed: int
    num_steps: int

    def __hash__(self) -> int:
        return hash(repr(self))  # the plan's config holds a dict

    def open(self) -> tuple[BatchPlan, RowReader]:
        """The plan and a reader of the corpus, both kept by this process for the next call."""
        return _open_plan(self), _open_reader(self.directory)


@lru_cache(maxsize=1)
def _open_reader(directory: str) -> RowReader:
    corpus = Corpus.open(directory)
    return RowReader(corpus, ItemIndex.of(corpus))


@lru_cache(maxsize=4)
def _open_plan(source: BatchSource) -> BatchPlan:
    index = _open_reader(source.directory).index
    return BatchPlan(index, source.plan, seed=source.seed, num_steps=source.num_steps)


def chunk_steps(num_steps: int, world_size: int, batch_size: int) -> int:
    """Steps a block: enough rows to be worth a task, few enough blocks for their list to be small."""
    by_rows = BLOCK_ROWS * world_size // batch_size
    at_least = -(-num_steps * world_size // MAX_BLOCKS)
    return max(1, at_least, min(MAX_CHUNK_STEPS, by_rows))


@dataclass(frozen=True)
class ChunkReader:
    """A rank's slices in blocks of `chunk` steps, from step `start` on."""

    source: BatchSource
    start: int
    chunk: int
    rank: int
    world_size: int

    @property
    def num_blocks(self) -> int:
        """As many for every rank."""
        return -(-(self.source.num_steps - self.start) // self.chunk)

    def steps(self, block: int) -> range:
        """The steps of a block."""
        first = self.start + block * self.chunk
        return range(first, min(first + self.chunk, self.source.num_steps))

    def read(self, block: int) -> pa.Table:
        """One row a step."""
        plan, reader = self.source.open()
        return to_table([reader.slice(plan.step(step), self.rank, self.world_size) for step in self.steps(block)])


def received_slices(tables: Iterable[Any], *, start: int, rank: int) -> Iterator[Slice]:
    """Slices from step `start` on out of the blocks a worker received, checked to be its own and in order."""
    step = start
    for table in tables:
        for part in from_table(table):
            assert (part.step, part.rank) == (step, rank), (
                f"rank {rank} expected step {step}, got step {part.step} of rank {part.rank}"
            )
            yield part
            step += 1
