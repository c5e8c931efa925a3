"""Tracking of one job, from a check before anything starts to the last record being written."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hbt_ray.cluster.connect import resolve_workspace
from hbt_ray.config import Recipe
from hbt_ray.errors import ClusterError
from hbt_ray.tracking.actor import get_or_start_writer
from hbt_ray.tracking.handle import WriterHandle
from hbt_ray.tracking.uri import check_tracking, resolve_tracking_uri

CLOSE_S = 300.0
logger = logging.getLogger(__name__)


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
