"""The plan as a Ray Data source: one read task a block of steps, and nothing behind it.

A range that is mapped would have read tasks of its own, which ask for a whole CPU: on a small cluster whose CPUs
the workers hold, they would wait for ever.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pyarrow as pa
import ray
from ray.data import Datasource, ExecutionResources
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from hbt_ray.batches.iterator import BatchSource, ChunkReader, chunk_steps
from hbt_ray.cluster.tasks import quiet_data_context

TASKS_AHEAD, BUFFERED_BYTES = 2, 256 * 2**20
BYTES_A_ROW = 1024  # a pair of 32 and 128 tokens with its offsets and ids


def slice_dataset(
    source: BatchSource, *, start: int = 0, rank: int = 0, world_size: int = 1, num_cpus: float = 0.5
) -> ray.data.Dataset:
    """Ray Data set of a rank's slices in order, one row a step and a block a chunk of steps.

    Args:
        source: what to batch.
        start: first step (0, or where a run is resumed); nothing before it is read.
        rank, world_size: of the worker that reads it, and how many there are.
        num_cpus: CPUs that Ray reserves for a task.
    """
    quiet_data_context()
    chunk = chunk_steps(source.num_steps - start, world_size, source.plan.batch_size)
    datasource = PlanDatasource(ChunkReader(source, start, chunk, rank, world_size))
    dataset = ray.data.read_datasource(datasource, num_cpus=num_cpus, override_num_blocks=datasource.num_blocks)
    # Every worker has such a data set: each takes no more of the cluster than keeps it a few blocks ahead.
    limits = ExecutionResources.for_limits(cpu=TASKS_AHEAD * num_cpus, object_store_memory=BUFFERED_BYTES)
    dataset.context.execution_options.resource_limits = limits
    dataset.context.execution_no_progress_timeout_s = -1  # a long evaluation takes no batches, and is no failure
    return dataset


class PlanDatasource(Datasource):  # type: ignore[misc]
    """Blocks of slices in the order of the plan."""

    def __init__(self, reader: ChunkReader) -> None:
        super().__init__()
        self._reader = reader

    @property
    def num_blocks(self) -> int:
        """Read tasks, each of which gives one block."""
        return self._reader.num_blocks

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all blocks, roughly."""
        return sum(self._block_bytes(block) for block in range(self.num_blocks))

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """One task a block, whatever parallelism is asked for: the order depends on it."""
        return [
            ReadTask(
                partial(_read, self._reader, block),
                BlockMetadata(len(self._reader.steps(block)), self._block_bytes(block), None, None),
            )
            for block in range(self.num_blocks)
        ]

    def _block_bytes(self, block: int) -> int:
        rows = self._reader.source.plan.batch_size // self._reader.world_size
        return len(self._reader.steps(block)) * rows * BYTES_A_ROW


def _read(reader: ChunkReader, block: int) -> list[pa.Table]:
    return [reader.read(block)]
