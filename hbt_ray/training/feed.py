"""Batches made ready in the background, so that the training thread only takes them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

S = TypeVar("S")
B = TypeVar("B")


class Feed(Generic[S, B]):
    """Iterates over `make(item)` for the items of `source`, made by one thread up to `depth` ahead.

    An error in the source or in `make` is raised in the consumer's thread, at the batch it belongs to.
    `wait_s` adds up how long the consumer has waited. Close it, or use it in a `with`, to end the thread.
    """

    def __init__(self, source: Iterator[S], make: Callable[[S], B], *, depth: int = 4) -> None:
        self.wait_s = 0.0
        self._queue: queue.Queue[tuple[B | None, BaseException | None]] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(source, make), daemon=True, name="feed")
        self._thread.start()

    def __iter__(self) -> Iterator[B]:
        while True:
            begin = time.perf_counter()
            batch, error = self._queue.get()
            self.wait_s += time.perf_counter() - begin
            if error is not None or batch is None:
                self._queue.put(
                    (None, error)
                )  # the thread is done: who asks again is told the same, and not left waiting
                if error is not None:
                    raise error
                return
            yield batch

    def __enter__(self) -> Feed[S, B]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; batches that are ready are dropped."""
        self._closed.set()
        self._thread.join(timeout=5)
        with suppress(queue.Full):  # whoever waits for the next one is told that it does not come
            self._queue.put_nowait((None, None))

    def _work(self, source: Iterator[S], make: Callable[[S], B]) -> None:
        try:
            for item in source:
                if not self._put((make(item), None)):
                    return
            self._put((None, None))
        except BaseException as error:
            self._put((None, error))

    def _put(self, entry: tuple[B | None, BaseException | None]) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
