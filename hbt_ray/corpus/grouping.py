"""All languages of an item to one task, with Ray Data and a bounded memory: rows are spilled to disk by a hash of id.

Ray Data's own `groupby` holds all rows in the memory of its aggregating actors (2.8 GB in one process for a million
items in three languages), so it is not used. Which id goes to which partition depends on the input alone.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from hbt_ray.cluster import tasks
from hbt_ray.corpus.inputs import read_unit
from hbt_ray.corpus.readers.units import Unit
from hbt_ray.corpus.rows import SCHEMA, check_rows
from hbt_ray.corpus.shards import text_hash
from hbt_ray.corpus.spill import SpillWriter, has_partition, read_partition
from hbt_ray.errors import ClusterError, CorpusError, one_line
from hbt_ray.finished import MADE_FROM, FinishedFiles
from hbt_ray.storage import open_fs, read_json, write_json

PARTITION_BYTES = 16 << 20
"""Of an input's files, and a quarter of what they hold unpacked."""
PACKED = 4
MIN_PARTITIONS, MAX_PARTITIONS = 4, 8192

Load = Callable[[], pa.Table]
"""Reads the rows of a partition."""
Count = Callable[[int, int], None]
"""Receives how many of how many tasks are done."""
SUFFIX = ".pickle"


@dataclass(frozen=True)
class WorkDirectory:
    """The working directory (local or URL) of a job, by which a killed job resumes; removed when the job has ended.

    All nodes share it, and one job at a time may work in it (`hbt_ray.storage.only_job`):

        made_from.json            what decides how the work is cut; where that is another, all is thrown away
        done/STAGE/00003.pickle   the result of a task, written when all it made was there
    """

    directory: str

    def begin(self, made_from: Mapping[str, str]) -> bool:
        """Make it, or take over the one of a stopped job; returns whether any of its tasks are done."""
        fs, path = open_fs(self.directory)
        location = f"{self.directory}/{MADE_FROM}"
        known = read_json(location)
        if known == made_from:
            return any(fs.find(f"{path}/done"))
        self.remove()
        write_json(location, dict(made_from))
        return False

    def done(self, stage: str) -> set[int]:
        """Numbers of the tasks that are done."""
        return {int(name.removesuffix(SUFFIX)) for name in self._records(stage).names()}

    def record(self, stage: str, number: int, result: Any) -> None:
        """Note that a task is done, with its result."""
        self._records(stage).write(f"{number:05d}{SUFFIX}", pickle.dumps(result))

    def results(self, stage: str, numbers: Iterable[int]) -> list[Any]:
        """The results of the tasks of these numbers, in their order.

        Raises:
            ClusterError: there is none of one of them: somebody has removed it.
        """
        try:
            records: list[bytes] = self._records(stage).read(f"{number:05d}{SUFFIX}" for number in sorted(numbers))
        except FileNotFoundError as error:
            raise ClusterError(
                f"{self.directory} was removed while a job worked in it ({error}); run the same command again, and "
                "let no other job make the same at the same time"
            ) from None
        return list(map(pickle.loads, records))

    def remove(self) -> None:
        """Remove it; a kill in between leaves nothing that a later job would resume from."""
        fs, path = open_fs(self.directory)
        if fs.exists(f"{path}/{MADE_FROM}"):
            fs.rm_file(f"{path}/{MADE_FROM}")
        if fs.exists(path):
            fs.rm(path, recursive=True)

    def _records(self, stage: str) -> FinishedFiles:
        return FinishedFiles(f"{self.directory}/done/{stage}", SUFFIX)


def count_partitions(num_bytes: int, unpacked_bytes: int = 0) -> int:
    """Partitions of an input with `num_bytes` in its files, and `unpacked_bytes` in them as far as is known."""
    size = max(num_bytes, unpacked_bytes // PACKED)
    return int(np.clip(-(-size // PARTITION_BYTES), MIN_PARTITIONS, MAX_PARTITIONS))


def spill(
    work: WorkDirectory,
    units: Sequence[Unit],
    langs: Sequence[str],
    num_partitions: int,
    columns: Sequence[str] = SCHEMA.names,
) -> list[str]:
    """Read and check all rows in `langs` (canonical; empty is all) and spill their `columns` of `SCHEMA` to disk.

    Returns the files of spilled rows, for `map_partitions`.
    """
    args = (f"{work.directory}/rows", langs, num_partitions, columns)
    return run_tasks(work, "rows", list(enumerate(units)), _spill, args)


def map_partitions(
    work: WorkDirectory,
    files: Sequence[str],
    num_partitions: int,
    task: Callable[..., Any],
    args: tuple[Any, ...],
    count: Count = lambda done, total: None,
    *,
    num_gpus: float = 0,
    stage: str = "partitions",
) -> list[Any]:
    """`task(load, partition, *args)` for every partition that has rows in `files`; returns their results, in order.

    `load()` reads the rows, which then are the task's alone: it can let go of them. `stage`: a name for what is done.
    """
    parts = [(part,) for part in range(num_partitions)]
    results = run_tasks(work, stage, parts, _partition, (tuple(files), task, args), count, num_gpus=num_gpus)
    return [result for result in results if result is not None]


def run_tasks(
    work: WorkDirectory,
    stage: str,
    items: Sequence[Any],
    task: Callable[..., Any],
    args: tuple[Any, ...],
    count: Count = lambda done, total: None,
    *,
    num_gpus: float = 0,
) -> list[Any]:
    """Run `task(item, *args)` on each item, as many at once as fit, and return the results, in order.

    Each item has a number of its own as its first field, under which `work` keeps the result, something small that can
    be pickled. Items that are done, by this job or by one that was stopped, are not done again.
    """
    done = work.done(stage)
    if done:
        count(len(done), len(items))
    todo = [item for item in items if item[0] not in done]
    recorded = tasks.Stage(work=_recorded, args=(work, stage, task, args), num_gpus=num_gpus)
    for number, _ in enumerate(tasks.stream(todo, recorded, what=f"work on {stage}")):
        count(len(done) + number + 1, len(items))
    return work.results(stage, (item[0] for item in items))


def cut_of(units: Sequence[Unit], num_partitions: int, columns: Sequence[str] = SCHEMA.names) -> dict[str, str]:
    """Everything that decides how the work on an input is cut into tasks, for `WorkDirectory.begin`."""
    parts = [(unit.kind, unit.path.rsplit("/", 1)[-1], unit.start, unit.stop, unit.columns) for unit in units]
    return {
        "format": "3",  # of what tasks give back and of what they leave in the working directory
        "units": hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        "partitions": str(num_partitions),
        "columns": ",".join(columns),
    }


def _recorded(
    item: tuple[Any, ...], work: WorkDirectory, stage: str, task: Callable[..., Any], args: tuple[Any, ...]
) -> Iterator[int]:
    work.record(stage, item[0], task(item, *args))
    yield item[0]


def _spill(
    item: tuple[int, Unit], directory: str, langs: Sequence[str], num_partitions: int, columns: Sequence[str]
) -> str:
    """Read one unit, check its rows and spill them by partition."""
    number, unit = item
    location = f"{directory}/{number:06d}.arrow"
    schema = pa.schema([SCHEMA.field(column) for column in columns])
    with SpillWriter(location, schema) as writer:
        for table in read_unit(unit):
            try:
                table = check_rows(table, langs).select(columns)
            except (ValueError, pa.ArrowTypeError) as error:  # bytes that are no UTF-8, a list that is none
                raise CorpusError(f"{unit.path}: a column cannot be read ({one_line(error)})") from None
            writer.add(table, partition_of(table["id"], num_partitions))
    pa.default_memory_pool().release_unused()
    return location


def _partition(item: tuple[int], files: tuple[str, ...], task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    (partition,) = item
    if not has_partition(files, partition):
        return None
    result = task(partial(read_partition, files, partition), partition, *args)
    pa.default_memory_pool().release_unused()  # a worker lives on, and its allocator would keep it all
    return result


def partition_of(ids: pa.ChunkedArray, num_partitions: int) -> np.ndarray:
    """int64 [n]: the partition of each id."""
    encoded = ids.combine_chunks().dictionary_encode()
    part = np.array([text_hash(name) % num_partitions for name in encoded.dictionary.to_pylist()], np.int64)
    spread: np.ndarray = part[encoded.indices.to_numpy()]
    return spread
