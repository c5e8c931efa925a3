"""Ids of the passages of a set, language by language: looked up in bulk, and unique inside each language."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hbt_ray.arrays import IntArray
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.text_columns import TextWriter


class PassageIds:
    """Row -> (id, language), for tens of millions of passages: no dict of all ids, no tuple for each."""

    def __init__(self, num_langs: int) -> None:
        self._names = TextWriter()
        self._first_row = [0] * num_langs
        """Row of the first passage of each language up to the current one."""
        self._current = self._checked = 0
        # Where rows come from, for messages: (row, file, line) wherever a run of following lines begins.
        self._runs: list[tuple[int, Path, int]] = []
        self._next = (Path(), 0)

    def __len__(self) -> int:
        return len(self._names)

    def append(self, path: Path, number: int, lang: int, name: str) -> None:
        """Add a row; languages come in ascending order, and a new one has `check` look at those before."""
        assert lang >= self._current, "passages are added language by language"
        if lang > self._current:
            self.check()
            self._first_row[self._current + 1 : lang + 1] = [len(self)] * (lang - self._current)
            self._current = lang
        if (path, number) != self._next:
            self._runs.append((len(self), path, number))
        self._next = (path, number + 1)
        self._names.append(name)

    def rows(self, names: Iterable[str], langs: Sequence[int]) -> dict[str, list[int]]:
        """Those of `names` that `langs` have, with their rows in the order of `langs`."""
        self.check()
        wanted = list(names)
        found: dict[str, list[int]] = {}
        for lang in langs:
            first, last = self._bounds(lang)
            if first == last or not wanted:
                continue
            ids = self._names.column().chunks.slice(first, last - first)
            place = pc.index_in(ids, value_set=pa.array(wanted, type=pa.large_string()))
            for row in pc.indices_nonzero(pc.is_valid(place)).to_pylist():
                found.setdefault(wanted[place[row].as_py()], []).append(first + row)
        return found

    def names(self) -> NDArray[Any]:
        """The id of each row, [n]."""
        return self._names.column().to_numpy()

    def langs(self) -> IntArray:
        """The language of each row, [n]."""
        sizes = [last - first for first, last in map(self._bounds, range(len(self._first_row)))]
        return np.repeat(np.arange(len(sizes)), sizes)

    def check(self) -> None:
        """EvaluationError, with file and line, where the current language has an id twice."""
        first, last = self._bounds(self._current)
        if last <= self._checked:
            return
        ids = self._names.column()
        if pc.count_distinct(ids.chunks.slice(first, last - first)).as_py() < last - first:
            seen: set[str] = set()
            for row in range(first, last):
                name = ids[row]
                if name in seen:
                    raise EvaluationError(
                        f"{self._place(row)} has the id {name}, which an earlier line has; keep one of them."
                    )
                seen.add(name)
        self._checked = last
        pa.default_memory_pool().release_unused()  # the hash table of all ids was large

    def _bounds(self, lang: int) -> tuple[int, int]:
        """First row of `lang`, and the row after its last."""
        if lang > self._current:
            return len(self), len(self)
        return self._first_row[lang], len(self) if lang == self._current else self._first_row[lang + 1]

    def _place(self, row: int) -> str:
        first, path, number = self._runs[bisect_right(self._runs, row, key=lambda run: run[0]) - 1]
        return f"{path} line {number + row - first}"
