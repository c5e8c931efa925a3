"""What tracking looks like from a training process: calls that are sent and forgotten.

Kept apart from the writer itself, so that workers and trial drivers need not import MLflow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import ray
from ray.exceptions import GetTimeoutError, RayError

from hbt_ray.tracking.naming import Row, plain_rows

if TYPE_CHECKING:
    from hbt_ray.tracking.dataset_info import DatasetInfo

logger = logging.getLogger(__name__)

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


def check_end_status(status: str) -> None:
    """Raises ValueError for a status that `RunStore.finish` does not know."""
    if status not in END_STATUS:
        raise ValueError(f"run status {status!r}: allowed are {', '.join(get_args(EndStatus))}")


class RunLog(Protocol):
    """Where runs are recorded: `RunWriter` inside a process, `WriterHandle` inside a Ray job."""

    def start_run(
        self, key: str, name: str, tags: Mapping[str, str] | None = None, parent_key: str | None = None
    ) -> None: ...
    def log_params(self, key: str, params: Mapping[str, Any]) -> None: ...
    def log_metrics(self, key: str, rows: Iterable[Row]) -> None: ...
    def log_datasets(self, key: str, datasets: Sequence[DatasetInfo]) -> None: ...
    def log_artifact_text(self, key: str, path: str, text: str) -> None: ...
    def log_artifact_bytes(self, key: str, path: str, content: bytes) -> None: ...
    def finish_run(self, key: str, status: EndStatus, tags: Mapping[str, str] | None = None) -> None: ...


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
    num_nonfinite: int
    """Metric values that were NaN or infinite and are therefore not in the store."""
    store_is_down: bool
    """Whether the last attempt failed and is being repeated."""


@dataclass(frozen=True)
class WriterHandle:
    """The methods of `RunWriter` for any process of the job; picklable, for arguments of Ray workers."""

    actor: Any

    def start_run(
        self, key: str, name: str, tags: Mapping[str, str] | None = None, parent_key: str | None = None
    ) -> None:
        """See `RunWriter.start_run`."""
        self._send("start_run", key, name, dict(tags or {}), parent_key)

    def log_params(self, key: str, params: Mapping[str, Any]) -> None:
        """See `RunWriter.log_params`."""
        self._send("log_params", key, params)

    def log_metrics(self, key: str, rows: Iterable[Row]) -> None:
        """See `RunWriter.log_metrics`; tensors are turned into numbers here, on the sender's device."""
        self._send("log_metrics", key, plain_rows(rows, int(time.time() * 1000)))

    def log_datasets(self, key: str, datasets: Sequence[DatasetInfo]) -> None:
        """See `RunWriter.log_datasets`."""
        self._send("log_datasets", key, tuple(datasets))

    def log_artifact_text(self, key: str, path: str, text: str) -> None:
        """See `RunWriter.log_artifact_text`."""
        self._send("log_artifact_text", key, path, text)

    def log_artifact_bytes(self, key: str, path: str, content: bytes) -> None:
        """See `RunWriter.log_artifact_bytes`."""
        self._send("log_artifact_bytes", key, path, content)

    def finish_run(self, key: str, status: EndStatus, tags: Mapping[str, str] | None = None) -> None:
        """See `RunWriter.finish_run`."""
        check_end_status(status)
        self._send("finish_run", key, status, dict(tags or {}))

    def run_id(self, key: str, timeout: float = 10.0) -> str | None:
        """See `RunWriter.run_id`."""
        answer: str | None = self._ask("run_id", None, timeout, key, timeout)
        return answer

    def recorded(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Recorded] | None:
        """See `RunWriter.recorded`; None where there is no answer within a minute, and a second for each run."""
        answer: dict[str, Recorded] | None = self._ask("recorded", None, 60.0 + len(wanted), dict(wanted))
        return answer

    def latest(self) -> dict[str, dict[str, float]]:
        """See `RunWriter.latest`; empty where the actor does not answer at once."""
        answer: dict[str, dict[str, float]] = self._ask("latest", {}, 1.0)
        return answer

    def flush(self, timeout: float = 60.0) -> bool:
        """Waits until everything that this process has sent is in the store; False if it is not in time."""
        return bool(self._ask("flush", False, timeout, timeout))

    def stats(self) -> WriterStats | None:
        """See `RunWriter.stats`; None where the actor is gone."""
        answer: WriterStats | None = self._ask("stats", None, 10.0)
        return answer

    def close(self, timeout: float = 60.0) -> bool:
        """Flushes and ends the actor. For the process that started it, at the end of the job."""
        done = bool(self._ask("close", False, timeout, timeout))
        ray.kill(self.actor)
        return done

    def _send(self, method: str, *arguments: Any) -> None:
        try:
            self.actor.append.remote(method, *arguments)
        except RayError as error:  # tracking must not end a training
            logger.warning("tracking: %s was not sent: %s", method, error)

    def _ask(self, method: str, missing: Any, timeout: float, *arguments: Any) -> Any:
        """Asks and waits. `append` first: whatever this process sent before has then been taken in."""
        deadline = time.monotonic() + timeout + REPLY_MARGIN_S
        try:
            ray.get(self.actor.append.remote("stats"), timeout=deadline - time.monotonic())
            answer = self.actor.wait.remote(method, *arguments)
            return ray.get(answer, timeout=max(0.0, deadline - time.monotonic()))
        except (RayError, GetTimeoutError) as error:
            logger.warning("tracking: no answer to %s: %s", method, error)
            return missing
