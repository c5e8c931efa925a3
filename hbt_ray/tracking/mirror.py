"""MLflow as a mirror of records: each run, metric and step once, in order, at any time, into any store.

`Mirror` reads the records under one directory (of a study, or of a training) and sends what the store lacks. A job has
it run in a process beside its driver (`session`), which nothing waits for; `jobs/report.py STUDY --mirror` runs it
once. How far it has come is a tag of each run, so a store that is emptied is filled again from the beginning, and what
is sent twice does no harm.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable

from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

from hbt_ray.errors import HbtError, one_line
from hbt_ray.records import FOLDER, SUFFIX, Record, RecordReader, run_directories
from hbt_ray.storage import absolute, is_local, json_text, only_job, open_fs
from hbt_ray.tracking.runs import ERROR_TAG, RunStore
from hbt_ray.tracking.uri import shown_uri

logger = logging.getLogger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 0.25, 15.0
MAX_ATTEMPTS = 20  # about 4 minutes for one record that fails although the store answers
POLL_S, POLL_URL_S = 0.5, 5.0
MAX_METRICS = 1000  # records in one request at most
REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
"""What MLflow says of a request that will fail the same way for ever."""
MLFLOW_NOTE = "mlflow.note.content"
"""Of a run: its description, as Markdown."""
MIRRORED_TAG = "hbt.mirrored"
"""Of a run: JSON of writer -> how many of its records have arrived."""
MODEL_TAG = "hbt.model"
"""Of a run that ended: directory or URL of its model, as it was when that was mirrored."""


class RunMirror:
    """One run on its way into the store."""

    def __init__(self, store: RunStore, directory: str, workspace: str) -> None:
        self.directory, self._store, self._workspace = directory, store, workspace
        self._reader = RecordReader(directory)
        self._pending: list[Record] = []
        self._early: list[Record] = []  # before its start was seen
        self._run_id = ""
        self._attempts = 0
        self._num_refused = 0
        self._ended = False  # and not all that it recorded is known to the store as such

    @property
    def num_pending(self) -> int:
        """Records that were read and have not arrived."""
        return len(self._pending) + len(self._early)

    @property
    def num_refused(self) -> int:
        """Records that the store refused for good; each was logged as a warning."""
        return self._num_refused

    def read(self) -> None:
        """Take in what was recorded since the last call."""
        self._early += self._reader.new()
        if not self._run_id and not self._pending:
            starts = [number for number, record in enumerate(self._early) if record["kind"] == "start"]
            if not starts:
                return
            self._early.insert(0, self._early.pop(starts[0]))  # files may have been written before
            self._early = self._beyond(self._early)
        self._pending += self._early
        self._early = []

    def _beyond(self, records: list[Record]) -> list[Record]:
        """Leaves out what the store has of a run that an earlier mirror has sent."""
        run_id = self._store.find(records[0]["key"])
        if run_id is None:
            return records
        done = json.loads(self._store.tag(run_id, MIRRORED_TAG) or "{}")
        if any(self._reader.counts.get(writer, 0) < num for writer, num in done.items()):
            return records  # of a run that was begun anew under the same key
        self._run_id = run_id
        self._reader = RecordReader(self.directory)
        self._reader.skip(done)
        return self._reader.new()

    def send(self) -> None:
        """Send all that was read; raises where the store does not take it, and goes on there at the next call."""
        while self._pending:
            num = _num_together(self._pending)
            try:
                self._apply(self._pending[0], self._pending[:num])
            except Exception as error:
                self._attempts += 1
                if not (is_refused(error) or (self._attempts >= MAX_ATTEMPTS and self._answers())):
                    raise
                self._num_refused += 1
                kind = self._pending[0]["kind"]
                logger.warning("%s: a record (%s) is not in MLflow, which refused it: %s", self.directory, kind, error)
            self._attempts = 0
            del self._pending[:num]
        if self._ended:
            merged = "".join(map(json_text, RecordReader(self.directory).new()))
            self._store.log_bytes(self._run_id, f"{FOLDER}/mirrored{SUFFIX}", merged.encode())
            self._store.set_tags(self._run_id, {MIRRORED_TAG: json.dumps(self._reader.counts)})
            self._ended = False

    def _apply(self, record: Record, together: list[Record]) -> None:
        store, kind, run_id = self._store, record["kind"], self._run_id
        if kind == "start":
            parent = store.find(record["parent"]) if record["parent"] else None
            tags = {**record["tags"], "hbt.versions": json.dumps(record["versions"])}
            if record["commit"]:
                tags[MLFLOW_GIT_COMMIT] = record["commit"]
            self._run_id = store.get_or_create(record["key"], record["name"], tags, parent, record["time_ms"])
            self._ended = False
            store.log_params(self._run_id, record["settings"])
        elif kind == "params":
            store.log_params(run_id, record["values"])
        elif kind == "datasets":
            store.log_datasets(run_id, [{**info, "source": self._in_place(info["source"])} for info in record[kind]])
        elif kind == "metrics":
            store.log_metrics(run_id, together)
        elif kind == "file":
            fs, path = open_fs(f"{self.directory}/{record['path']}")
            if fs.exists(path):  # a newer one of the same path may have been removed
                store.log_bytes(run_id, record["path"], fs.cat_file(path))
        elif kind == "end":
            tags = dict(record["tags"])
            if record.get("error"):
                tags[ERROR_TAG] = record["error"][:250]
            if record.get("model"):
                tags[MODEL_TAG] = f"{self.directory}/{record['model']}"
            if record.get("description"):
                tags[MLFLOW_NOTE] = record["description"]
            store.finish(run_id, record["status"], tags, record["time_ms"])
            self._ended = True

    def _in_place(self, source: str) -> str:
        """The source of a dataset, which may be relative to the workspace."""
        return source if "://" in source or source.startswith("/") or ":" in source else f"{self._workspace}/{source}"

    def _answers(self) -> bool:
        try:
            self._store.ping()
        except Exception:
            return False
        return True


class Mirror:
    """All runs under a directory of a workspace, that of the directory itself first."""

    def __init__(self, store: RunStore, root: str, workspace: str) -> None:
        self._store, self._root, self._workspace = store, root, workspace
        self._runs: dict[str, RunMirror] = {}
        self._down = False
        self._poll_s = POLL_S if is_local(open_fs(root)[0]) else POLL_URL_S

    def look(self) -> bool:
        """Send what was recorded so far; whether all of it has arrived (or was refused).

        Raises:
            Exception: the store does not take records now.
        """
        for directory in run_directories(self._root):
            if directory not in self._runs:
                self._runs[directory] = RunMirror(self._store, directory, self._workspace)
            run = self._runs[directory]
            run.read()
            run.send()
        return not any(run.num_pending or run.num_refused for run in self._runs.values())

    def follow(self, ending: threading.Event, patience_s: Callable[[bool], float]) -> bool:
        """Mirror until `ending` is set and all has arrived; False where it has not.

        `patience_s` gives the seconds that are left after `ending`, from whether the store is down.
        """
        attempt, ended_at = 0, 0.0
        while True:
            last = ending.is_set()
            ended_at = ended_at or (time.monotonic() if last else 0.0)
            try:
                whole = self.look()
            except Exception as error:
                self._say_down(error)
                pause = min(FIRST_RETRY_S * 2 ** min(attempt, 10), LONGEST_RETRY_S)
                attempt += 1
            else:
                self._say_up()
                attempt, pause = 0, self._poll_s
                if last:
                    return whole
            if last and time.monotonic() + pause - ended_at > patience_s(self._down):
                return False
            if last:
                time.sleep(pause)
            else:
                ending.wait(pause)

    def _say_down(self, error: Exception) -> None:
        if not self._down:
            logger.warning(
                "MLflow at %s does not take records (%s); they are in the workspace, and are sent when it does",
                shown_uri(self._store.tracking_uri),
                one_line(error),
            )
        self._down = True

    def _say_up(self) -> None:
        if self._down:
            logger.warning("MLflow at %s answers again", shown_uri(self._store.tracking_uri))
        self._down = False


def mirror_now(tracking_uri: str, experiment: str, root: str, workspace: str) -> bool:
    """Bring everything under `root` into a store; False where the store refused a part of it.

    Raises:
        Exception: of MLflow, where the store stops answering.
    """
    with only_job(f"{root}/mirror", lambda line: None):
        return Mirror(RunStore(tracking_uri, experiment), root, workspace).look()


def is_refused(error: Exception) -> bool:
    """Whether a request will fail the same way for ever."""
    if isinstance(error, MlflowException):
        return error.error_code in REFUSED
    if isinstance(error, json.JSONDecodeError):  # of an answer: a proxy says in HTML that the server is away
        return False
    return isinstance(error, (HbtError, ValueError, TypeError, KeyError, ImportError))


def _num_together(pending: list[Record]) -> int:
    """How many records from the first on go in one request: metrics that follow one another."""
    num = 1
    if pending[0]["kind"] == "metrics":
        while num < min(len(pending), MAX_METRICS) and pending[num]["kind"] == "metrics":
            num += 1
    return num


def main() -> int:
    """The process beside a driver: settings as a line of JSON on the standard input, whose end asks it to end.

    Exit status: 0 where all has arrived.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    settings = json.loads(sys.stdin.readline())
    ending = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()  # ends with the driver too, however that ends
        ending.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    root = absolute(settings["root"])
    with only_job(f"{root}/mirror", lambda line: None):
        mirror = Mirror(RunStore(settings["uri"], settings["experiment"]), root, settings["workspace"])
        limits = settings["limits_s"]
        return 0 if mirror.follow(ending, lambda is_down: limits["down" if is_down else "up"]) else 1


if __name__ == "__main__":
    sys.exit(main())
