"""One `RunWriter` for a whole Ray job: a named actor, and the handle that every process uses.

The actor lives on the driver's node, because the default store is a SQLite file there and one process alone
should write to it. The handle's calls are sent without waiting, so tracking never holds up a training step.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hbt_ray.errors import ClusterError
from hbt_ray.tracking.naming import Row, plain_rows
from hbt_ray.tracking.runs import EndStatus, RunStore, check_end_status
from hbt_ray.tracking.writer import RunWriter, WriterStats

logger = logging.getLogger(__name__)

REPLY_MARGIN_S = 5.0  # for Ray itself, on top of the time that a caller allows the store

# MLflow waits 120 s for an answer and asks 8 times before it reports a failure; the writer repeats by itself
# and should notice sooner. Only this actor's process is affected, and what the user has set stays.
REQUEST_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


class WriterActor:
    """A `RunWriter` behind Ray: `append` in the order of arrival, `wait` for calls that may take long."""

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        for name, value in REQUEST_LIMITS.items():
            os.environ.setdefault(name, value)
        self._writer = RunWriter(RunStore(tracking_uri, experiment))

    def append(self, method: str, *arguments: Any) -> None:
        """Calls a method of the writer that returns at once."""
        getattr(self._writer, method)(*arguments)

    @ray.method(concurrency_group="wait")  # type: ignore[untyped-decorator, unused-ignore]
    def wait(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the writer that waits; it runs beside `append`, which is never held up."""
        return getattr(self._writer, method)(*arguments)


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


def get_or_start_writer(
    tracking_uri: str, experiment: str, name: str, *, ready_timeout_s: float = 60.0
) -> WriterHandle:
    """The writer of a study: started beside the caller the first time, found by name afterwards.

    Call it first in the job's driver, and hand the result to whatever runs elsewhere. The actor takes no CPU
    and ends with the driver.

    Args:
        tracking_uri: as returned by `uri.resolve_tracking_uri`.
        experiment: MLflow experiment, created at need.
        name: of the study; one writer for each.
        ready_timeout_s: seconds to wait for the actor's process.

    Raises:
        ClusterError: the actor did not come up in time.
    """
    node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor_class = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, concurrency_groups={"wait": 4})(
        WriterActor
    )
    actor = actor_class.options(name=f"hbt-tracking-{name}", get_if_exists=True, scheduling_strategy=node).remote(
        tracking_uri, experiment
    )
    try:
        ray.get(actor.append.remote("stats"), timeout=ready_timeout_s)
    except (RayError, GetTimeoutError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ClusterError(
            f"tracking writer {name!r} did not start within {ready_timeout_s:g} s ({reason}). See "
            "the actor's log in the Ray session's logs directory; check that hbt_ray and mlflow can be "
            "imported on the driver's node."
        ) from error
    return WriterHandle(actor)
