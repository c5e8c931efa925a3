"""What a store has not taken, on disk while it waits: a writer that is killed loses none of it.

Calls are held in memory and reach the file where the store is down, or where they have waited for a few seconds. A
file that was begun gets every call that follows, until all have arrived and it is removed. So it always is the end of
what was recorded: sending it again starts no run that it does not end as well.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hbt_ray.tracking.unsent import Call, append_calls, load_calls, save_calls

logger = logging.getLogger(__name__)

AFTER_S = 2.0
"""What has waited for so long is written down, whether the store is known to be down or not."""


class Journal:
    """The file of unsent records, kept up with what happens; the writer that has it does the locking."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fresh: list[Call] = []  # since all had arrived, and not in the file
        self._since = 0.0
        self._begun = self._failed = False
        self._on_disk = path.is_file()

    def load(self) -> list[Call]:
        """What the file holds; the calls are expected to be added again, and replace it then."""
        return load_calls(self._path)

    def add(self, call: Call) -> None:
        """A call that was handed in."""
        if not self._fresh:
            self._since = time.monotonic()
        self._fresh.append(call)

    def keep(self, *, is_down: bool) -> None:
        """Write what is due, which takes no longer than the file system does."""
        late = time.monotonic() - self._since >= AFTER_S
        if not self._fresh or not (is_down or self._begun or late):
            return
        try:
            (append_calls if self._begun else save_calls)(self._path, self._fresh)
        except OSError as error:
            if not self._failed:  # said once: it is tried again with the next call
                logger.warning("records that wait cannot be kept in %s (%s)", self._path, error)
            self._failed = True
        else:
            self._fresh, self._begun, self._failed, self._on_disk = [], True, False, True

    def clear(self) -> None:
        """All has arrived."""
        self._fresh, self._begun = [], False
        if self._on_disk:
            with suppress(OSError):  # what is sent again does no harm
                self._path.unlink(missing_ok=True)
                self._on_disk = False

    def replace(self, calls: Iterable[Call]) -> None:
        """Exactly these are left, in the end."""
        save_calls(self._path, calls)
        self._on_disk = True
