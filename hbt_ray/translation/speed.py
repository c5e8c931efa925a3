"""How fast a translation goes and how long it will take, counted on the driver as shards arrive."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from hbt_ray.translation.pending import ShardStats
from hbt_ray.translation.store import ORIGINAL
from hbt_ray.translation.survey import Chunk


class Meter:
    """Rows and tokens a second since the first shard of this run was begun, and the time that is left by characters."""

    def __init__(self, todo: Iterable[Chunk], clock: Callable[[], float] = time.monotonic) -> None:
        """`todo` are the chunks of this run; `clock` counts seconds."""
        chunks = [chunk for chunk in todo if chunk.lang != ORIGINAL]
        self._clock = clock
        self._total: Counter[str] = Counter()
        for chunk in chunks:
            self._total[chunk.lang] += chunk.num_rows
        self._chars_left = sum(chunk.num_chars for chunk in chunks)
        self._done: Counter[str] = Counter()
        self._tokens = self._chars = 0
        self._began: float | None = None

    def add(self, chunk: Chunk, stats: ShardStats) -> tuple[str, int, int, str]:
        """Count a translated shard; (language, rows done, rows in all, rates and time left)."""
        self._done[chunk.lang] += chunk.num_rows
        self._tokens += stats.num_tokens
        self._chars += chunk.num_chars
        self._chars_left -= chunk.num_chars
        now = self._clock()
        if self._began is None:  # starting translators and loading models does not count
            self._began = now - stats.seconds
        seconds = max(now - self._began, 1e-9)
        left = self._chars_left * seconds / max(self._chars, 1)
        note = (
            f"{sum(self._done.values()) / seconds:,.1f} rows/s, {self._tokens / seconds:,.0f} tokens/s, "
            f"{duration(left)} left"
        )
        return chunk.lang, self._done[chunk.lang], self._total[chunk.lang], note


def duration(seconds: float) -> str:
    """A time for people: `40 s`, `12 min`, `3.5 h`, `4.2 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
