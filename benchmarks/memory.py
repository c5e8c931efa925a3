"""Memory of a process and all its descendants, shared pages counted once (PSS of Linux)."""

from __future__ import annotations

import os
import threading
from types import TracebackType

import psutil

EVERY_S = 1.0


def tree_pss(root: int) -> dict[str, int]:
    """Command and id -> bytes, of `root` and all that descends from it."""
    parent = psutil.Process(root)
    sizes: dict[str, int] = {}
    for process in (parent, *parent.children(recursive=True)):
        try:
            sizes[f"{process.name()}-{process.pid}"] = int(process.memory_full_info().pss)
        except psutil.Error:
            continue  # it has ended
    return sizes


class PeakMemory:
    """Watches this process and its descendants while it is entered."""

    def __init__(self) -> None:
        self.peak = 0
        """Most bytes seen at once."""
        self.at_peak: dict[str, int] = {}
        """Command and id -> bytes at that moment."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        sizes = tree_pss(os.getpid())
        if sum(sizes.values()) > self.peak:
            self.peak, self.at_peak = sum(sizes.values()), sizes
