"""The machine of a benchmark: its description, the memory of processes, and a fresh process for a measurement."""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")


def machine(*packages: str) -> dict[str, Any]:
    """CPU, cores, system and date, and the versions of `packages`."""
    return {
        "cpu": cpu_model(),
        "num_cpus": os.cpu_count(),
        "platform": platform.platform(),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def cpu_model() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def in_fresh_process(function: Callable[..., T], *arguments: Any) -> T:
    """What the function returns in a new interpreter, whose peak of memory is its own; its errors are raised here."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_bytes() -> int:
    """Highest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts in ru_maxrss what the parent held when it started this process; VmHWM does not.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def tree_pss() -> int:
    """Bytes of this process and all its descendants, shared pages counted once (PSS of Linux)."""
    parent, total = psutil.Process(), 0
    for process in (parent, *parent.children(recursive=True)):
        try:
            total += int(process.memory_full_info().pss)
        except psutil.Error:
            continue  # it has ended
    return total


@dataclass
class Peak:
    """Most bytes seen at once."""

    num_bytes: int = 0


@contextmanager
def peak_memory(every_s: float = 1.0) -> Iterator[Peak]:
    """Watches `tree_pss` while the block runs, and looks once more at its end."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(every_s):
            peak.num_bytes = max(peak.num_bytes, tree_pss())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        peak.num_bytes = max(peak.num_bytes, tree_pss())
