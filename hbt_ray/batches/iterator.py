"""The hybrid-batch iterator: Ray Data over STEPS, not over rows.

The data set is a range of (chunk of steps, rank). A task looks the plan up for its chunk, reads the rows that the
plan names and returns one block with a slice a step; with order kept, an equal split deals the blocks round-robin,
so each rank receives its own slices in order of step. Nodes without a GPU can do the reading and collation;
resuming is a range that begins at another step; every rank has the same number of steps by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.plan import BatchPlan
from hbt_ray.batches.reader import RowReader
from hbt_ray.batches.slices import Slice, from_table, to_table
from hbt_ray.config import PlanConfig
from hbt_ray.corpus.manifest import Corpus

if TYPE_CHECKING:
    import ray.data

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
        return _open(self)


@lru_cache(maxsize=2)
def _open(source: BatchSource) -> tuple[BatchPlan, RowReader]:
    corpus = Corpus.open(source.directory)
    index = ItemIndex.of(corpus)
    return BatchPlan(index, source.plan, seed=source.seed, num_steps=source.num_steps), RowReader(corpus, index)


def local_slices(source: BatchSource, *, start: int = 0, rank: int = 0, world_size: int = 1) -> Iterator[Slice]:
    """A rank's slices from step `start` on, read in this process (no Ray)."""
    plan, reader = source.open()
    for step in range(start, source.num_steps):
        yield reader.slice(plan.step(step), rank, world_size)


def slice_dataset(
    source: BatchSource, *, start: int = 0, world_size: int = 1, num_cpus: float = 0.5
) -> ray.data.Dataset:
    """Ray Data set whose blocks are, in order, (first chunk, rank 0), (first chunk, rank 1), ... one row a step.

    Args:
        source: what to batch.
        start: first step (0, or where a run is resumed); nothing before it is read.
        world_size: workers the data set will be split among, equally.
        num_cpus: CPUs that Ray reserves for a task.
    """
    import ray

    from hbt_ray.cluster import quiet_data_context

    quiet_data_context()
    chunk = chunk_steps(source.num_steps - start, world_size, source.plan.batch_size)
    num_blocks = -(-(source.num_steps - start) // chunk) * world_size
    return ray.data.range(num_blocks, override_num_blocks=num_blocks).map_batches(
        _read_chunk,
        batch_size=None,
        batch_format="numpy",
        fn_args=(_Task(source, start, chunk, world_size),),
        num_cpus=num_cpus,
    )


def chunk_steps(num_steps: int, world_size: int, batch_size: int) -> int:
    """Steps a block: enough rows to be worth a task, few enough blocks for one driver to hand out."""
    by_rows = BLOCK_ROWS * world_size // batch_size
    at_least = -(-num_steps * world_size // MAX_BLOCKS)
    return max(1, at_least, min(MAX_CHUNK_STEPS, by_rows))


@dataclass(frozen=True)
class _Task:
    source: BatchSource
    start: int
    chunk: int
    world_size: int


def _read_chunk(batch: dict[str, np.ndarray], task: _Task) -> Any:
    plan, reader = task.source.open()
    slices = []
    for block in batch["id"].tolist():
        chunk, rank = divmod(block, task.world_size)
        first = task.start + chunk * task.chunk
        for step in range(first, min(first + task.chunk, task.source.num_steps)):
            slices.append(reader.slice(plan.step(step), rank, task.world_size))
    return to_table(slices)


def received_slices(tables: Iterable[Any], *, start: int, rank: int) -> Iterator[Slice]:
    """Slices from step `start` on out of the blocks a worker received, checked to be its own and in order."""
    step = start
    for table in tables:
        for part in from_table(table):
            if part.step < start:  # the data set may begin a checkpoint early, never late
                continue
            assert (part.step, part.rank) == (step, rank), (
                f"rank {rank} expected step {step}, got step {part.step} of rank {part.rank}"
            )
            yield part
            step += 1
