"""Streams: the items that can supply one kind of batch, in an endless order that any step can be read from.

A stream is a set of items (those of some sources that have a language, a language pair, or two languages at all)
in passes. In a pass every item comes exactly once. The order of a pass is a permutation of row groups, with rows
shuffled inside windows of row groups, all from (seed, stream, pass): random to the learner, local to the reader,
and any batch of it is computed without those before it.

Batches do not end where passes end, so a batch can hold the tail of one pass and the head of the next. An item
in both would be twice in the batch; such items are put off in the next pass until just after that batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np


class Stream:
    """Batches of `batch_size` items, the k-th being positions `k * batch_size ...` of the endless order."""

    def __init__(
        self,
        groups: np.ndarray,
        counts: np.ndarray,
        members: Callable[[int], np.ndarray],
        *,
        key: tuple[int, ...],
        batch_size: int,
        window: int,
    ) -> None:
        """
        Args:
            groups: int [g], the row groups that hold items of the stream.
            counts: int [g], how many items of the stream each holds.
            members: row group -> int64 item numbers of the stream in it.
            key: seed and identity of the stream, for the random generators.
            batch_size: items a batch; at most the size of the stream.
            window: row groups within which rows are shuffled.
        """
        self.size = int(counts.sum())
        if self.size < batch_size:
            raise ValueError(f"a stream of {self.size} items cannot fill a batch of {batch_size}")
        self._groups, self._counts, self._members = groups, counts, members
        self._key, self._batch_size, self._window = key, batch_size, window
        self._plan_of_pass = lru_cache(maxsize=4)(self._order_groups)
        self._items_of_window = lru_cache(maxsize=2)(self._shuffle_window)
        self._head = lru_cache(maxsize=4)(self._fix_head)
        self._last_head: tuple[int, np.ndarray] | None = None

    def batch(self, number: int) -> np.ndarray:
        """int64 [batch_size]: the items of the stream's `number`-th batch."""
        start = number * self._batch_size
        first, position = divmod(start, self.size)
        left = self.size - position
        if left >= self._batch_size:
            return self._slice(first, position, position + self._batch_size)
        rest = self._slice(first + 1, 0, self._batch_size - left)
        return np.concatenate([self._slice(first, position, self.size), rest])

    def _slice(self, pass_: int, start: int, stop: int) -> np.ndarray:
        """Positions `start` to `stop` of a pass, items put off from its head in place."""
        base = self._base(pass_, start, stop)
        if start < self._batch_size and self._carried(pass_):
            head = self._head(pass_)
            stop = min(stop, len(head))
            base[: stop - start] = head[start:stop]
        return base

    def _carried(self, pass_: int) -> int:
        """Items of the pass before that share a batch with the first items of this pass."""
        return (pass_ * self.size) % self._batch_size if pass_ else 0

    def _fix_head(self, pass_: int) -> np.ndarray:
        """The first `batch_size` items of a pass: those of the pass before's tail come after the shared batch.

        Only a stream of fewer than two batches has heads and tails that overlap; there each head follows from
        the one before, and they are made in order.
        """
        if self.size < 2 * self._batch_size:
            known = self._last_head[0] + 1 if self._last_head and self._last_head[0] < pass_ else 1
            for earlier in range(known, pass_):
                self._last_head = (earlier, self._make_head(earlier))
        head = self._make_head(pass_)
        self._last_head = (pass_, head)
        return head

    def _make_head(self, pass_: int) -> np.ndarray:
        head = self._base(pass_, 0, self._batch_size)
        carried = self._carried(pass_)
        if not carried:
            return head
        tail_start = self.size - carried
        tail = self._base(pass_ - 1, tail_start, self.size)
        if tail_start < self._batch_size and self._last_head and self._last_head[0] == pass_ - 1:
            overlap = self._last_head[1][tail_start:]
            tail[: len(overlap)] = overlap
        again = np.isin(head, tail)
        free = head[~again]
        room = self._batch_size - carried
        return np.concatenate([free[:room], head[again], free[room:]])

    def _base(self, pass_: int, start: int, stop: int) -> np.ndarray:
        """Positions of a pass before items are put off."""
        bounds, _ = self._plan_of_pass(pass_)
        first = int(np.searchsorted(bounds, start, side="right")) - 1
        parts = []
        for window in range(first, len(bounds) - 1):
            low, high = int(bounds[window]), int(bounds[window + 1])
            if low >= stop:
                break
            items = self._items_of_window(pass_, window)
            parts.append(items[max(start - low, 0) : min(stop, high) - low])
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _order_groups(self, pass_: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """First position of every window (and the end), and the row groups of each."""
        order = np.random.default_rng((*self._key, pass_)).permutation(len(self._groups))
        windows = [order[first : first + self._window] for first in range(0, len(order), self._window)]
        sizes = [int(self._counts[window].sum()) for window in windows]
        return np.r_[0, np.cumsum(sizes)].astype(np.int64), [self._groups[window] for window in windows]

    def _shuffle_window(self, pass_: int, window: int) -> np.ndarray:
        _, windows = self._plan_of_pass(pass_)
        items = np.concatenate([self._members(int(group)) for group in windows[window]])
        return np.random.default_rng((*self._key, pass_, window)).permutation(items)
