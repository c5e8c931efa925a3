"""Memory of a process and all its descendants, shared pages counted once (PSS of Linux)."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
EVERY_S = 1.0


def tree_pss(root: int) -> dict[str, int]:
    """Command and id -> bytes, of `root` and all that descends from it."""
    children: dict[int, list[int]] = defaultdict(list)
    names: dict[int, str] = {}
    for path in PROC.glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text()
        except OSError:
            continue  # it has ended
        name, _, rest = stat.rpartition(")")
        names[int(path.name)] = name.partition("(")[2]
        children[int(rest.split()[1])].append(int(path.name))
    todo, sizes = [root], {}
    while todo:
        pid = todo.pop()
        todo += children[pid]
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        pss = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        sizes[f"{names.get(pid, '?')}-{pid}"] = pss * 1024
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
