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
        self._head = lru_cache(maxsize=4)(self._make_head)
        self._items: np.ndarray | None = None
        self._known_tail: tuple[int, np.ndarray] | None = None
        if self.size < 2 * batch_size:
            # numbered within the stream, its items are marked in an array: heads and tails depend on one another
            self._items = np.concatenate([members(int(group)) for group in groups])
            ends = dict(zip(groups.tolist(), np.cumsum(counts).tolist(), strict=True))
            sizes = dict(zip(groups.tolist(), counts.tolist(), strict=True))
            self._members = lambda group: np.arange(ends[group] - sizes[group], ends[group])

    def batch(self, number: int) -> np.ndarray:
        """int64 [batch_size]: the items of the stream's `number`-th batch."""
        places = self._places(number)
        return places if self._items is None else self._items[places]

    def _places(self, number: int) -> np.ndarray:
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

    def _make_head(self, pass_: int) -> np.ndarray:
        """The first `batch_size` items of a pass: those of the pass before's tail come after the shared batch."""
        head = self._base(pass_, 0, self._batch_size)
        carried = self._carried(pass_)
        if self._items is None:
            again = np.isin(head, self._base(pass_ - 1, self.size - carried, self.size))
        else:
            again = self._tail(pass_)[head]
        free, room = head[~again], self._batch_size - carried
        return np.concatenate([free[:room], head[again], free[room:]])

    def _tail(self, pass_: int) -> np.ndarray:
        """bool [size]: the items that the pass before a pass has after its last whole batch; of a small stream.

        In a stream of fewer than two batches a tail may begin within a head, which depends on the tail before it: they
        follow from one another, but only as far back as the last pass whose tail begins behind a head. Each pass on
        the way carries `size - batch_size` items more.
        """
        size, batch_size = self.size, self._batch_size
        more, carried = size - batch_size, self._carried(pass_)
        first = pass_ - (carried - 1) // more
        if self._known_tail and first <= self._known_tail[0] <= pass_:
            first, tail = self._known_tail
        else:
            tail = np.zeros(size, bool)
            tail[self._base(first - 1, size - self._carried(first), size)] = True
        for number in range(first, pass_):
            order = self._base(number, 0, size)
            head, rest = order[:batch_size], order[batch_size:]
            again = tail[head]
            free, room = head[~again], batch_size - self._carried(number)
            tail = np.zeros(size, bool)
            for part in (rest, head[again], free[room:]):
                tail[part] = True
        self._known_tail = pass_, tail
        return tail

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

    def _order_groups(self, pass_: int) -> tuple[np.ndarray, np.ndarray]:
        """First position of every window (and the end), and the order of the row groups."""
        order = np.random.default_rng((*self._key, pass_)).permutation(len(self._groups))
        sizes = np.add.reduceat(self._counts[order], np.arange(0, len(order), self._window), dtype=np.int64)
        return np.r_[0, np.cumsum(sizes)], order

    def _shuffle_window(self, pass_: int, window: int) -> np.ndarray:
        _, order = self._plan_of_pass(pass_)
        groups = self._groups[order[window * self._window : (window + 1) * self._window]]
        items = np.concatenate([self._members(int(group)) for group in groups])
        return np.random.default_rng((*self._key, pass_, window)).permutation(items)
