"""What a store has not taken, on disk while it waits: a writer that is killed loses none of it.

Records are held in memory and reach the file where the store is down, or where they have waited for a few seconds. A
file that was begun gets every record that follows, until all have arrived and it is removed. So it always is the end
of what was recorded: sending it again, which the next job of the name does first, starts no run that it does not end
as well, and does no harm where a record had arrived.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hbt_ray.errors import one_line
from hbt_ray.storage import write_whole
from hbt_ray.tracking.dataset_info import DatasetInfo

logger = logging.getLogger(__name__)

METHODS = ("start", "log_params", "log_metrics", "log_datasets", "log_bytes", "finish")
AFTER_S = 2.0
"""A record that has waited for so long is written down, whether the store is known to be down or not."""


@dataclass(frozen=True)
class Record:
    """A call of `RunStore` for the run of a key; see `handle.RunLog`."""

    method: str
    key: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return " ".join([self.method, *(str(text) for text in self.arguments[:1] if isinstance(text, str))])

    def to_line(self) -> bytes:
        """The record as a line of JSON."""
        return json.dumps(asdict(self), default=lambda content: base64.b64encode(content).decode()).encode() + b"\n"

    @classmethod
    def from_line(cls, line: str) -> Record:
        """ValueError, KeyError or TypeError where the line is no record."""
        tree = json.loads(line)
        method, arguments = str(tree["method"]), tree["arguments"]
        if method not in METHODS:
            raise ValueError(f"no method {method!r}")
        if method == "log_bytes":
            arguments[1] = base64.b64decode(arguments[1])
        elif method == "log_datasets":
            arguments[0] = tuple(DatasetInfo(**info) for info in arguments[0])
        return cls(method, str(tree["key"]), tuple(arguments))


class Journal:
    """The file of unsent records, kept up with what happens; the writer that has it does the locking."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fresh: list[Record] = []  # since all had arrived, and not in the file
        self._since = 0.0
        self._begun = self._failed = False
        self._on_disk = path.is_file()

    def load(self) -> list[Record]:
        """What the file holds, without lines that are no records; they are expected to be added, and replace it."""
        records = []
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.is_file() else []
        for number, line in enumerate(lines, 1):
            try:
                records.append(Record.from_line(line))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                logger.warning("%s, line %d is not a record and is not sent: %s", self._path, number, one_line(error))
        return records

    def add(self, record: Record) -> None:
        """A record that was handed in."""
        if not self._fresh:
            self._since = time.monotonic()
        self._fresh.append(record)

    def keep(self, *, is_down: bool) -> None:
        """Write what is due, which takes no longer than the file system does."""
        late = time.monotonic() - self._since >= AFTER_S
        if not self._fresh or not (is_down or self._begun or late):
            return
        try:
            if self._begun:
                with self._path.open("ab") as file:
                    file.writelines(record.to_line() for record in self._fresh)
            else:
                self.replace(self._fresh)
        except OSError as error:
            if not self._failed:  # said once: it is tried again with the next record
                logger.warning("records that wait cannot be kept in %s (%s)", self._path, one_line(error))
            self._failed = True
        else:
            self._fresh, self._begun, self._failed = [], True, False

    def clear(self) -> None:
        """All has arrived."""
        self._fresh, self._begun = [], False
        if self._on_disk:
            with suppress(OSError):  # what is sent again does no harm
                self._path.unlink(missing_ok=True)
                self._on_disk = False

    def replace(self, records: Iterable[Record]) -> None:
        """The file holds exactly these; none is no file."""
        lines = b"".join(record.to_line() for record in records)
        if lines:
            write_whole(str(self._path), lines)
            self._on_disk = True
        else:
            self.clear()
