"""`RunWriter`: a buffer and one thread in front of a `RunStore`.

Calls return at once. A store that is down or slow delays the records, never the caller; what waits is kept in a file
as well (`journal`), so that nothing is lost with the process. Runs are named by our own key, so that records can be
handed in before the run exists.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from hbt_ray.tracking.dataset_info import DatasetInfo
from hbt_ray.tracking.handle import EndStatus, Recorded, WriterStats, check_end_status
from hbt_ray.tracking.journal import Journal
from hbt_ray.tracking.naming import Row, flatten_params, plain_rows
from hbt_ray.tracking.records import Record, first_line, is_refused, take
from hbt_ray.tracking.runs import RunStore

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 15.0
MAX_ATTEMPTS_WHILE_UP = 20  # about 4 minutes for one record that fails although the store answers
LOOK_S = 0.5  # between two looks at what nobody announces
DOWN_WAIT_S = 30.0  # for a store that is down, all waiting together; anew when it has answered


class RunWriter:
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
        self._num_dropped = self._num_nonfinite = 0
        self._patience_s = DOWN_WAIT_S
        for method, arguments in self._journal.load() if self._journal else ():
            getattr(self, method)(*arguments)
        self._thread = threading.Thread(target=self._work, name="hbt-tracking", daemon=True)
        self._thread.start()
        if self._journal:
            threading.Thread(target=self._keep_journal, name="hbt-journal", daemon=True).start()

    def start_run(
        self, key: str, name: str, tags: Mapping[str, str] | None = None, parent_key: str | None = None
    ) -> None:
        """Creates the run of this key or takes it up again. `parent_key`: a run that was started before."""
        kept = dict(tags or {})

        def start(_: str) -> None:
            parent = self._run_ids.get(parent_key) if parent_key else None
            if parent_key and parent is None:
                parent = self._store.find(parent_key)
            self._run_ids[key] = self._store.get_or_create(key, name, kept, parent)

        self._add(Record(key, "start", ("start_run", (key, name, kept, parent_key)), start, starts=True))

    def log_params(self, key: str, params: Mapping[str, Any]) -> None:
        """See `RunStore.log_params`."""
        kept = flatten_params(params)  # now: the caller may change its settings afterwards
        call = ("log_params", (key, kept))
        self._add(Record(key, "parameters", call, lambda run_id: self._store.log_params(run_id, kept)))

    def log_metrics(self, key: str, rows: Iterable[Row]) -> None:
        """See `RunStore.log_metrics`. Raises ValueError for a row without an integer `step`."""
        kept = plain_rows(rows, int(time.time() * 1000))
        for row in kept:
            self._latest.setdefault(key, {}).update(row)
        self._add(self._metrics(key, kept))

    def log_datasets(self, key: str, datasets: Sequence[DatasetInfo]) -> None:
        """See `RunStore.log_datasets`."""
        kept = tuple(datasets)
        call = ("log_datasets", (key, kept))
        self._add(Record(key, "datasets", call, lambda run_id: self._store.log_datasets(run_id, kept)))

    def log_artifact_text(self, key: str, path: str, text: str) -> None:
        """A text artifact at `path` inside the run's artifacts."""
        self.log_artifact_bytes(key, path, text.encode())

    def log_artifact_bytes(self, key: str, path: str, content: bytes) -> None:
        """A binary artifact at `path` inside the run's artifacts."""
        call = ("log_artifact_bytes", (key, path, content))
        self._add(Record(key, f"artifact {path}", call, lambda run_id: self._store.log_bytes(run_id, path, content)))

    def finish_run(self, key: str, status: EndStatus, tags: Mapping[str, str] | None = None) -> None:
        """See `RunStore.finish`. Raises ValueError for an unknown status."""
        check_end_status(status)
        kept = dict(tags or {})
        call = ("finish_run", (key, status, kept))
        self._add(Record(key, f"end ({status})", call, lambda run_id: self._store.finish(run_id, status, kept)))

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
            logger.warning("MLflow at %s did not say what it has: %s", self._store.tracking_uri, first_line(error))
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
            self._keep_unsent()
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
                num_nonfinite=self._num_nonfinite,
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
                self._changed.wait(min(left, LOOK_S))
                if was_down and self._down:
                    self._patience_s -= time.monotonic() - start
            return True

    def _keep_journal(self) -> None:
        """In a thread of its own: the other may wait for an answer of the store for long."""
        assert self._journal is not None
        with self._changed:
            while not self._closed:
                self._journal.keep(is_down=self._down)
                self._changed.wait(LOOK_S)

    def _keep_unsent(self) -> None:
        if self._journal is None:
            return
        with self._changed:
            parked = [record for records in self._parked.values() for record in records]
            left = [*([self._in_hand] if self._in_hand else []), *self._records, *parked]
            if left:
                self._journal.replace([record.call for record in left])
            else:
                self._journal.clear()

    def _add(self, record: Record) -> None:
        with self._changed:
            if self._closed:
                self._num_dropped += 1
                return
            self._records.append(record)
            if self._journal:
                self._journal.add(record.call)
            self._changed.notify_all()

    def _metrics(self, key: str, rows: list[dict[str, float]]) -> Record:
        write = partial(self._write_metrics, rows=rows)
        return Record(key, "metrics", ("log_metrics", (key, rows)), write, rows=rows)

    def _write_metrics(self, run_id: str, rows: list[dict[str, float]]) -> None:
        self._num_nonfinite += self._store.log_metrics(run_id, rows)

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
                record = self._in_hand = take(self._records, self._metrics)
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
                    self._drop(record, error)
                    return
                self._say_down(error)
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
        if record.starts:
            record.write("")
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
        record.write(run_id)

    def _store_answers(self) -> bool:
        try:
            self._store.ping()
        except Exception:
            return False
        return True

    def _drop(self, record: Record, error: Exception) -> None:
        self._num_dropped += 1
        logger.warning("run %s: %s not recorded, MLflow refused: %s", record.key, record.what, first_line(error))

    def _say_down(self, error: Exception) -> None:
        if not self._down:
            self._down = True
            logger.warning(
                "MLflow at %s does not take records (%s); they are kept and sent when it does",
                self._store.tracking_uri,
                first_line(error),
            )
