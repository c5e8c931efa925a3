"""What tracking looks like from a training process: calls that are sent and forgotten.

Kept apart from the writer itself, so that workers and trial drivers need not import MLflow.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError

from hbt_ray.errors import one_line
from hbt_ray.tracking.naming import Row, flatten_params, plain_rows

if TYPE_CHECKING:
    from hbt_ray.tracking.dataset_info import DatasetInfo

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

REPLY_MARGIN_S = 5.0  # for Ray itself, on top of the time that a caller allows the store

EndStatus = Literal["finished", "early_stopped", "failed", "killed"]

# A trial that the scheduler stopped did what it was asked to: FINISHED, told apart by a tag.
END_STATUS: dict[EndStatus, str] = {
    "finished": "FINISHED",
    "early_stopped": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}

ERROR_TAG = "hbt.error"
"""Why a run failed; gone when it is taken up again."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the store has of a run."""

    status: str
    """Of MLflow: RUNNING, FINISHED, FAILED or KILLED."""
    early_stopped: bool
    metrics: frozenset[str]
    """Names."""
    artifacts: frozenset[str]
    """Paths: of the root, and of the folders that were asked for."""


@dataclass(frozen=True, kw_only=True)
class WriterStats:
    """What the writer holds and what it could not record."""

    num_pending: int
    """Records that wait, those for runs that were not started yet included."""
    num_dropped: int
    """Records that the store refused for good; each was logged as a warning."""
    store_is_down: bool
    """Whether the last attempt failed and is being repeated."""


class RunLog(ABC):
    """Where runs are recorded: `RunWriter` inside a process, `WriterHandle` inside a Ray job.

    Arguments are made plain here, once: safe to keep, to pickle and to send twice.
    """

    @abstractmethod
    def send(self, method: str, key: str, *arguments: Any) -> None:
        """Takes a record for the run of a key, a plain call of `RunStore` ("start" for its `get_or_create`)."""

    def start_run(
        self, key: str, name: str, tags: Mapping[str, str] | None = None, parent_key: str | None = None
    ) -> None:
        """Creates the run of this key or takes it up again. `parent_key`: a run that was started before."""
        self.send("start", key, name, dict(tags or {}), parent_key)

    def log_params(self, key: str, params: Mapping[str, Any]) -> None:
        """Nested settings as parameters, as they are now; see `naming.flatten_params`."""
        self.send("log_params", key, flatten_params(params))

    def log_metrics(self, key: str, rows: Iterable[Row]) -> None:
        """Metrics by step, stamped with the time; ValueError for a row without an integer `step`."""
        self.send("log_metrics", key, plain_rows(rows))

    def log_datasets(self, key: str, datasets: Sequence[DatasetInfo]) -> None:
        """What the run learned from and was scored on."""
        self.send("log_datasets", key, tuple(datasets))

    def log_artifact_text(self, key: str, path: str, text: str) -> None:
        """A text artifact at `path` inside the run's artifacts."""
        self.log_artifact_bytes(key, path, text.encode())

    def log_artifact_bytes(self, key: str, path: str, content: bytes) -> None:
        """A binary artifact at `path` inside the run's artifacts."""
        self.send("log_bytes", key, path, content)

    def finish_run(self, key: str, status: EndStatus, tags: Mapping[str, str] | None = None) -> None:
        """Ends a run; ValueError for an unknown status."""
        if status not in END_STATUS:
            raise ValueError(f"run status {status!r}: allowed are {', '.join(END_STATUS)}")
        self.send("finish", key, status, dict(tags or {}))


@dataclass(frozen=True)
class WriterHandle(RunLog):
    """A `RunWriter` for any process of the job, its methods here; picklable, for arguments of Ray workers."""

    actor: Any

    def send(self, method: str, key: str, *arguments: Any) -> None:
        try:
            self.actor.append.remote("send", method, key, *arguments)
        except RayError as error:  # tracking must not end a training
            logger.warning("tracking: %s was not sent: %s", method, one_line(error))

    def run_id(self, key: str, timeout: float = 10.0) -> str | None:
        return self._ask("run_id", None, timeout, key, timeout)

    def recorded(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Recorded] | None:
        """None where there is no answer within a minute, and a second for each run."""
        return self._ask("recorded", None, 60.0 + len(wanted), dict(wanted))

    def latest(self) -> dict[str, dict[str, float]]:
        """Empty where the actor does not answer at once."""
        return self._ask("latest", {}, 1.0)

    def flush(self, timeout: float = 60.0) -> bool:
        """Waits until everything that this process has sent is in the store; False if it is not in time."""
        return self._ask("flush", False, timeout, timeout)

    def stats(self) -> WriterStats | None:
        """None where the actor is gone."""
        return self._ask("stats", None, 10.0)

    def close(self, timeout: float = 60.0) -> bool:
        """Flushes and ends the actor. For the process that started it, at the end of the job."""
        done = self._ask("close", False, timeout, timeout)
        ray.kill(self.actor)
        return done

    def _ask(self, method: str, missing: Answer, timeout: float, *arguments: Any) -> Answer:
        """Asks and waits. `append` first: whatever this process sent before has then been taken in."""
        deadline = time.monotonic() + timeout + REPLY_MARGIN_S
        try:
            ray.get(self.actor.append.remote("stats"), timeout=deadline - time.monotonic())
            answer: Answer = ray.get(
                self.actor.wait.remote(method, *arguments), timeout=max(0.0, deadline - time.monotonic())
            )
            return answer
        except (RayError, GetTimeoutError) as error:
            logger.warning("tracking: no answer to %s: %s", method, one_line(error))
            return missing
