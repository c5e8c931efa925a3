"""The working directory of a job over a corpus, by which a killed job resumes: results of its finished tasks.

made_from.json            what decides how the work is cut; where that is another, all is thrown away
done/STAGE/00003.pickle   the result of a task, written when all it made was there
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hbt_ray.errors import ClusterError
from hbt_ray.finished import MADE_FROM, FinishedFiles
from hbt_ray.storage import open_fs, read_json, write_json

SUFFIX = ".pickle"


@dataclass(frozen=True)
class WorkDirectory:
    """A directory (local or URL) that all nodes share; removed when the job has ended.

    Only one job at a time may work in it (`hbt_ray.storage.only_job`)."""

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
