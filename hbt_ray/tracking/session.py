"""Tracking of one job, from a check before anything starts to the last record being written.

One `RunWriter` for a whole Ray job: a named actor, behind the handle that every process uses. It lives on the driver's
node, because the default store is a SQLite file there and one process alone should write to it. The handle's calls are
sent without waiting, so tracking never holds up a training step.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hbt_ray.cluster.connect import resolve_workspace
from hbt_ray.config import Recipe
from hbt_ray.errors import ClusterError, one_line
from hbt_ray.tracking.handle import WriterHandle
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.uri import check_tracking, resolve_tracking_uri
from hbt_ray.tracking.writer import RunWriter

READY_S, CLOSE_S = 60.0, 300.0
# MLflow waits 120 s for an answer and asks 8 times before it reports a failure; the writer repeats by itself
# and should notice sooner. Only the actor's process is affected, and the user's own settings stay.
REQUEST_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
logger = logging.getLogger(__name__)


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


def get_or_start_writer(tracking_uri: str, experiment: str, name: str, *, unsent: str = "") -> WriterHandle:
    """The writer of a study: started beside the caller the first time, found by name afterwards.

    Call it first in the job's driver, and hand the result to whatever runs elsewhere. The actor takes no CPU
    and ends with the driver. Each study has one writer, by its name. `unsent` is a file for the records that the store
    has not taken, which are sent first; empty: none.

    Raises:
        ClusterError: the actor did not come up in time.
    """
    node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, concurrency_groups={"wait": 4})(WriterActor)
    options = remote.options(name=f"hbt-tracking-{name}", get_if_exists=True, scheduling_strategy=node)
    actor = options.remote(tracking_uri, experiment, unsent)
    try:
        ray.get(actor.append.remote("stats"), timeout=READY_S)
    except (RayError, GetTimeoutError) as error:
        raise ClusterError(
            f"tracking writer {name!r} did not start within {READY_S:g} s ({one_line(error)}). See the actor's "
            "log in the Ray session's logs directory; check that hbt_ray and mlflow can be imported on the driver's "
            "node."
        ) from error
    return WriterHandle(actor)


@contextmanager
def tracking(recipe: Recipe) -> Iterator[tuple[str, Callable[[], WriterHandle]]]:
    """Check the recipe's tracking store, give `(uri, open_log)`, and close the writer at the end.

    `open_log()` starts the writer, once Ray is connected.

    Raises:
        ClusterError: nothing could be recorded in the store.
    """
    workspace = resolve_workspace(recipe.workspace)
    if "://" in workspace and not (recipe.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")):
        raise ClusterError("tracking.uri is empty: a remote workspace cannot hold a SQLite file; name a server")
    uri = resolve_tracking_uri(recipe.tracking.uri, Path(workspace) / "mlflow")
    check_tracking(uri)
    unsent = "" if "://" in workspace else f"{workspace}/mlflow/unsent-{recipe.name}.jsonl"
    opened: list[WriterHandle] = []

    def open_log() -> WriterHandle:
        opened.append(get_or_start_writer(uri, recipe.tracking.experiment, recipe.name, unsent=unsent))
        return opened[-1]

    try:
        yield uri, open_log
    finally:
        for log in opened:
            if not log.close(CLOSE_S):
                kept = f"; it is kept in {unsent}, and the same command sends it" if Path(unsent).is_file() else ""
                logger.warning("tracking: not everything could be written to %s%s", uri, kept)
