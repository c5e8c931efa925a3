"""News of running trainings between two evaluations: a line per run, at most every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from hbt_ray.records import RecordReader

INTERVAL_S = 15.0
"""Seconds between two looks."""


@contextmanager
def every(seconds: float, look: Callable[[], None]) -> Iterator[None]:
    """While the block runs, call `look` again and again, from a thread that mostly sleeps."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(seconds):
            look()

    thread = threading.Thread(target=work, name="hbt-look", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=1.0)


def progress(
    running: Callable[[], Mapping[str, tuple[str, int]]], report: Callable[[str], None]
) -> AbstractContextManager[None]:
    """While the block runs, report `alpha=0.5: step 40/100, loss 1.234, 21.0 pairs/s` of each training that advanced.

    `running` gives directory -> (label, number of steps) of the runs that are going.
    """
    readers: dict[str, RecordReader] = {}

    def look() -> None:
        now = dict(running())
        for directory in readers.keys() - now.keys():
            del readers[directory]
        for directory, (label, num_steps) in now.items():
            if directory not in readers:
                readers[directory] = RecordReader(directory)
            points = [record for record in readers[directory].new() if "train/loss" in record.get("values", ())]
            if points:
                step, values = points[-1]["step"], points[-1]["values"]
                loss = "not finite" if values["train/loss"] is None else f"{values['train/loss']:.3f}"
                report(f"{label}: step {step}/{num_steps}, loss {loss}, {values['train/pairs_per_s']:,.1f} pairs/s")

    return every(INTERVAL_S, look)
