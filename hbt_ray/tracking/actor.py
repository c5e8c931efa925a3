"""One `RunWriter` for a whole Ray job: a named actor, behind the handle that every process uses.

The actor lives on the driver's node, because the default store is a SQLite file there and one process alone
should write to it. The handle's calls are sent without waiting, so tracking never holds up a training step.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hbt_ray.errors import ClusterError
from hbt_ray.tracking.handle import WriterHandle
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.writer import RunWriter

# MLflow waits 120 s for an answer and asks 8 times before it reports a failure; the writer repeats by itself
# and should notice sooner. Only this actor's process is affected, and what the user has set stays.
REQUEST_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


class WriterActor:
    """A `RunWriter` behind Ray: `append` in the order of arrival, `wait` for calls that may take long."""

    def __init__(self, tracking_uri: str, experiment: str, unsent: str = "") -> None:
        for name, value in REQUEST_LIMITS.items():
            os.environ.setdefault(name, value)
        self._writer = RunWriter(RunStore(tracking_uri, experiment), Path(unsent) if unsent else None)

    def append(self, method: str, *arguments: Any) -> None:
        """Calls a method of the writer that returns at once."""
        getattr(self._writer, method)(*arguments)

    @ray.method(concurrency_group="wait")  # type: ignore[untyped-decorator, unused-ignore]
    def wait(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the writer that waits; it runs beside `append`, which is never held up."""
        return getattr(self._writer, method)(*arguments)


def get_or_start_writer(
    tracking_uri: str, experiment: str, name: str, *, unsent: str = "", ready_timeout_s: float = 60.0
) -> WriterHandle:
    """The writer of a study: started beside the caller the first time, found by name afterwards.

    Call it first in the job's driver, and hand the result to whatever runs elsewhere. The actor takes no CPU
    and ends with the driver.

    Args:
        tracking_uri: as returned by `uri.resolve_tracking_uri`.
        experiment: MLflow experiment, created at need.
        name: of the study; one writer for each.
        unsent: file for what the store has not taken in the end, and that is sent first; empty: none.
        ready_timeout_s: seconds to wait for the actor's process.

    Raises:
        ClusterError: the actor did not come up in time.
    """
    node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor_class = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, concurrency_groups={"wait": 4})(
        WriterActor
    )
    actor = actor_class.options(name=f"hbt-tracking-{name}", get_if_exists=True, scheduling_strategy=node).remote(
        tracking_uri, experiment, unsent
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
