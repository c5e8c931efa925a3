"""`RunWriter`: a buffer and one thread in front of a `RunStore`.

Calls return at once. A store that is down or slow delays the records, never the caller; what waits is kept in a file
as well (`journal`), so that nothing is lost with the process. Runs are named by our own key, so that records can be
handed in before the run exists.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from hbt_ray.errors import HbtError, one_line
from hbt_ray.tracking.handle import Recorded, RunLog, WriterStats
from hbt_ray.tracking.journal import Journal, Record
from hbt_ray.tracking.runs import RunStore

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 15.0
MAX_ATTEMPTS_WHILE_UP = 20  # about 4 minutes for one record that fails although the store answers
POLL_S = 0.5
DOWN_WAIT_S = 30.0  # for a store that is down, of all calls together, until it has answered
MAX_ROWS_PER_CALL = 1000
REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
"""What MLflow says of a request that will fail the same way for ever."""


def take(records: deque[Record]) -> Record:
    """Take the next record out; metrics of the same run that follow it join it, to spare requests.

    Only the order within a run matters, so the search for followers stops at the run's next other record.
    """
    record = records.popleft()
    if record.method != "log_metrics":
        return record
    rows, others, stop = list(record.arguments[0]), deque[Record](), False
    while records and len(rows) < MAX_ROWS_PER_CALL:
        follower = records.popleft()
        stop = stop or (follower.key == record.key and follower.method != "log_metrics")
        if follower.key == record.key and not stop:
            rows.extend(follower.arguments[0])
        else:
            others.append(follower)
    records.extendleft(reversed(others))
    return Record(record.method, record.key, (rows,))


def is_refused(error: Exception) -> bool:
    """Whether a request will fail the same way for ever."""
    if isinstance(error, MlflowException):
        return error.error_code in REFUSED
    if isinstance(error, json.JSONDecodeError):  # of an answer: a proxy says in HTML that the server is away
        return False
    return isinstance(error, (HbtError, ValueError, TypeError, ImportError))


class RunWriter(RunLog):
    """Writes records in the order in which they were handed in, from one thread.

    Args:
        store: where they go.
        unsent: file for what the store has not taken yet; what it holds is sent first.
    """

    def __init__(self, store: RunStore, unsent: Path | None = None) -> None:
        self._store = store
        self._journal = Journal(unsent) if unsent else None
        self._in_hand: Record | None = None
        self._records: deque[Record] = deque()
        self._parked: dict[str, list[Record]] = {}  # records of runs that nobody has started yet
        self._run_ids: dict[str, str] = {}
        self._latest: dict[str, dict[str, float]] = {}
        self._changed = threading.Condition()
        self._busy = self._closed = self._down = False
        self._num_dropped = 0
        self._patience_s = DOWN_WAIT_S
        for record in self._journal.load() if self._journal else ():
            self.send(record.method, record.key, *record.arguments)
        self._thread = threading.Thread(target=self._work, name="hbt-tracking", daemon=True)
        self._thread.start()
        if self._journal:
            threading.Thread(target=self._keep_journal, name="hbt-journal", daemon=True).start()

    def send(self, method: str, key: str, *arguments: Any) -> None:
        record = Record(method, key, arguments)
        if method == "log_metrics":
            for row in arguments[0]:
                self._latest.setdefault(key, {}).update(row)
        with self._changed:
            if self._closed:
                self._num_dropped += 1
                return
            self._records.append(record)
            if self._journal:
                self._journal.add(record)
            self._changed.notify_all()

    def run_id(self, key: str, timeout: float = 10.0) -> str | None:
        """The run id of a key, None if the store has not made the run within `timeout` seconds."""
        if not self._wait(lambda: key in self._run_ids, timeout) and not self._down:
            with suppress(Exception):  # of a writer before this one
                return self._store.find(key)
        return self._run_ids.get(key)

    def recorded(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Recorded] | None:
        """See `RunStore.recorded`; None where the store does not answer. `flush` first."""
        if self._down:
            return None
        try:
            return self._store.recorded(wanted)
        except Exception as error:
            logger.warning("MLflow at %s did not say what it has: %s", self._store.tracking_uri, one_line(error))
            return None

    def latest(self) -> dict[str, dict[str, float]]:
        """Key -> the last value of each metric handed in, with the last `step`; for showing progress."""
        return {key: dict(row) for key, row in list(self._latest.items())}

    def flush(self, timeout: float = 60.0) -> bool:
        """Waits until every record is in the store; False if `timeout` seconds did not suffice.

        A store that is down is waited for `DOWN_WAIT_S` in all, however often this is called. Records of a run that
        nobody has started are not waited for; `close` reports them.
        """
        return self._wait(lambda: not self._records and not self._busy, timeout)

    def close(self, timeout: float = 60.0) -> bool:
        """Flushes, then stops the thread; later calls are dropped. False if records were left behind.

        Those go to the file of unsent records, where there is one.
        """
        if not self._closed:
            self.flush(timeout)
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._thread.join(timeout=1.0)
            if self._journal:
                with self._changed:
                    parked = [record for records in self._parked.values() for record in records]
                    self._journal.replace([*filter(None, [self._in_hand]), *self._records, *parked])
            if left := self.stats().num_pending:
                logger.warning(
                    "MLflow at %s: %d records were not written before the end", self._store.tracking_uri, left
                )
        return self.stats().num_pending == 0

    def stats(self) -> WriterStats:
        """Counts for the log and for tests."""
        with self._changed:
            waiting = len(self._records) + self._busy + sum(map(len, self._parked.values()))
            return WriterStats(
                num_pending=waiting,
                num_dropped=self._num_dropped,
                store_is_down=self._down,
            )

    def _wait(self, done: Callable[[], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        with self._changed:
            while not done():
                start = time.monotonic()
                was_down = self._down
                left = min(deadline - start, self._patience_s if was_down else math.inf)
                if left <= 0:
                    return False
                self._changed.wait(min(left, POLL_S))
                if was_down and self._down:
                    self._patience_s -= time.monotonic() - start
            return True

    def _keep_journal(self) -> None:
        """In a thread of its own: the other may wait for an answer of the store for long."""
        assert self._journal is not None
        with self._changed:
            while not self._closed:
                self._journal.keep(is_down=self._down)
                self._changed.wait(POLL_S)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy, self._in_hand = False, None
                if self._journal and not self._records and not self._parked and not self._closed:
                    self._journal.clear()
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._records or self._closed)
                if self._closed:
                    return
                record = self._in_hand = take(self._records)
                self._busy = True
            self._write_until_done(record)

    def _write_until_done(self, record: Record) -> None:
        answered = False
        for attempt in range(1_000_000_000):
            try:
                self._write(record)
            except Exception as error:
                # It has to answer before an attempt that fails and after it: else the store came up in between.
                before, answered = answered, attempt >= MAX_ATTEMPTS_WHILE_UP and self._store_answers()
                if is_refused(error) or (before and answered):
                    self._num_dropped += 1
                    logger.warning(
                        "run %s: %s is not recorded, MLflow refused: %s", record.key, record, one_line(error)
                    )
                    return
                if not self._down:
                    logger.warning(
                        "MLflow at %s does not take records (%s); they are kept and sent when it does",
                        self._store.tracking_uri,
                        one_line(error),
                    )
                self._down = True
                with self._changed:
                    pause = min(FIRST_RETRY_S * 2 ** min(attempt, 10), LONGEST_RETRY_S)
                    if self._changed.wait_for(lambda: self._closed, pause):
                        self._records.appendleft(record)
                        self._busy, self._in_hand = False, None
                        return
            else:
                if self._down:
                    self._down, self._patience_s = False, DOWN_WAIT_S
                    logger.warning("MLflow at %s answers again", self._store.tracking_uri)
                return

    def _write(self, record: Record) -> None:
        if record.method == "start":
            name, tags, parent_key = record.arguments
            parent = (self._run_ids.get(parent_key) or self._store.find(parent_key)) if parent_key else None
            self._run_ids[record.key] = self._store.get_or_create(record.key, name, tags, parent)
            with self._changed:
                self._records.extendleft(reversed(self._parked.pop(record.key, [])))
                self._changed.notify_all()
            return
        run_id = self._run_ids.get(record.key) or self._store.find(record.key)
        if run_id is None:
            with self._changed:  # its start comes from another process and is still on the way
                self._parked.setdefault(record.key, []).append(record)
            return
        self._run_ids[record.key] = run_id
        getattr(self._store, record.method)(run_id, *record.arguments)

    def _store_answers(self) -> bool:
        try:
            self._store.ping()
        except Exception:
            return False
        return True
