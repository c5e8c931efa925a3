"""News of running trainings between two evaluations: a line a run, at most every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from hbt_ray.tracking.handle import WriterHandle

INTERVAL_S = 15.0


@contextmanager
def progress(
    log: WriterHandle,
    num_steps: Callable[[str], int],
    report: Callable[[str], None],
    *,
    label: Callable[[str], str] = lambda key: key.rsplit("/", 1)[-1],
    interval_s: float = INTERVAL_S,
) -> Iterator[None]:
    """While the block runs, report step, loss and speed of every run whose training went on.

    Args:
        log: the writer that the runs report their curves to.
        num_steps: steps of a run, from its key.
        report: receives the lines, from a thread.
        label: what a run is called, from its key.
        interval_s: seconds between two looks.
    """
    done = threading.Event()
    seen: dict[str, float] = {}

    def look() -> None:
        while not done.wait(interval_s):
            for key, row in log.latest().items():
                if "train/loss" in row and row["step"] != seen.get(key):
                    seen[key] = row["step"]
                    report(f"{label(key)}: {progress_line(row, num_steps(key))}")

    thread = threading.Thread(target=look, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=interval_s)


def progress_line(row: Mapping[str, float], num_steps: int) -> str:
    """`step 40/100, loss 1.234, 21.0 pairs/s`."""
    return f"step {row['step']:.0f}/{num_steps}, loss {row['train/loss']:.3f}, {row['train/pairs_per_s']:,.1f} pairs/s"
