"""Tracking of one job, from a check before anything starts to the last record in MLflow.

The mirror is a process beside the driver, because it imports MLflow, may wait for a server, and must hold up nothing.
It ends when the driver does, also where that was killed, after it has sent what there was.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hbt_ray.cluster.connect import resolve_workspace
from hbt_ray.config import Recipe
from hbt_ray.errors import ClusterError
from hbt_ray.tracking.uri import check_tracking, resolve_tracking_uri

LIMITS_S = {"up": 300.0, "down": 30.0}
"""Seconds that the end of a job waits for the last records, by whether the store answers."""
MARGIN_S = 60.0
# MLflow waits 120 s for an answer and asks 8 times before it reports a failure; the mirror repeats by itself and should
# notice sooner. Only its process is affected, and the user's own settings stay.
REQUEST_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_LOGGING_LEVEL": "WARNING"}
logger = logging.getLogger(__name__)


@dataclass
class Tracking:
    """The store of a job, and the mirror that fills it.

    Attributes:
        uri: of the store.
        experiment: of the job's runs.
        workspace: absolute, or a URL.
    """

    uri: str
    experiment: str
    workspace: str
    _process: subprocess.Popen[bytes] | None = None

    def mirror(self, root: str) -> None:
        """Bring whatever is recorded under `root` into the store from now on."""
        settings = {
            "uri": self.uri,  # by a pipe: arguments and environment of a process can be read by others
            "experiment": self.experiment,
            "root": root,
            "workspace": self.workspace,
            "limits_s": LIMITS_S,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hbt_ray.tracking.mirror"],
            stdin=subprocess.PIPE,
            env={**REQUEST_LIMITS, **QUIET, **os.environ},
            start_new_session=True,  # Ctrl-C is for the driver
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(settings).encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> bool:
        """Wait until all has arrived, as long as `LIMITS_S` allow; False where it has not. At once the second time."""
        process, self._process = self._process, None
        if process is None:
            return True
        assert process.stdin is not None
        try:
            process.stdin.close()
            return process.wait(LIMITS_S["up"] + MARGIN_S) == 0
        except (subprocess.TimeoutExpired, OSError):
            process.kill()
            process.wait()
            return False


@contextmanager
def tracking(recipe: Recipe) -> Iterator[Tracking]:
    """Check the recipe's tracking store, and close the mirror at the end.

    Raises:
        ClusterError: nothing could be recorded in the store.
    """
    workspace = resolve_workspace(recipe.workspace)
    if "://" in workspace and not (recipe.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")):
        raise ClusterError("tracking.uri is empty: a remote workspace cannot hold a SQLite file; name a server")
    uri = resolve_tracking_uri(recipe.tracking.uri, Path(workspace) / "mlflow")
    check_tracking(uri)
    job = Tracking(uri, recipe.tracking.experiment, workspace)
    try:
        yield job
    finally:
        if not job.close():
            logger.warning(
                "MLflow lacks a part of what was recorded; the same command sends it, and so does jobs/report.py "
                "--mirror"
            )
