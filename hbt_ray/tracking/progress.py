"""News of running trainings between two evaluations: a line a run, at most every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from hbt_ray.tracking.handle import WriterHandle

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
    log: WriterHandle,
    num_steps: Callable[[str], int],
    report: Callable[[str], None],
    *,
    label: Callable[[str], str] = lambda key: key.rsplit("/", 1)[-1],
) -> AbstractContextManager[None]:
    """While the block runs, report `alpha=0.5: step 40/100, loss 1.234, 21.0 pairs/s` of each training that advanced.

    `num_steps` and `label` say of a run, from its key, how long it is and how it is called.
    """
    seen: dict[str, float] = {}

    def look() -> None:
        for key, row in log.latest().items():
            if "train/loss" in row and row["step"] != seen.get(key):
                seen[key] = row["step"]
                speed = f"loss {row['train/loss']:.3f}, {row['train/pairs_per_s']:,.1f} pairs/s"
                report(f"{label(key)}: step {row['step']:.0f}/{num_steps(key)}, {speed}")

    return every(INTERVAL_S, look)
