"""Counts of a corpus while it is cleaned; partitions add up."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter


@dataclass
class KeptCounts:
    """Of the rows that are left."""

    items: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    """Language -> rows."""
    pairs: Counter[str] = field(default_factory=Counter)
    """`a b` -> items with both languages, a < b."""
    sources: Counter[str] = field(default_factory=Counter)
    """Source -> items."""

    def count_rows(self, rows: pa.Table) -> None:
        """Count rows (`id, lang, source`) whose items are whole and follow each other."""
        if not rows.num_rows:
            return
        langs = rows["lang"].to_pylist()
        starts = item_starts(rows["id"])
        self.items += len(starts)
        self.rows.update(langs)
        self.sources.update(rows["source"].take(pa.array(starts)).to_pylist())
        sets = Counter(
            tuple(sorted(langs[start:stop]))
            for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(langs)], strict=True)
        )
        for item_langs, times in sets.items():  # few: items mostly have the same languages
            for a, b in itertools.combinations(item_langs, 2):
                self.pairs[f"{a} {b}"] += times


@dataclass
class CleanCounts:
    """All counts of a partition, or of the corpus."""

    items: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    """Language -> usable rows before cleaning."""
    unusable: Counter[str] = field(default_factory=Counter)
    """Problem -> rows that no recipe could use (`hbt_ray.corpus.rows`)."""
    rejected: dict[str, Counter[str]] = field(default_factory=dict)
    """Reason -> language -> rows."""
    contamination: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    """Set -> `same question` or `shared run` -> language -> rows that no rule has rejected."""
    kept: KeptCounts = field(default_factory=KeptCounts)

    def reject(self, reason: str, langs: Iterable[str]) -> None:
        """Count rows rejected for `reason`."""
        self.rejected.setdefault(reason, Counter()).update(langs)

    def add(self, other: CleanCounts) -> None:
        """Fold another partition's counts into these."""
        self.items += other.items
        self.rows.update(other.rows)
        self.unusable.update(other.unusable)
        for reason, langs in other.rejected.items():
            self.rejected.setdefault(reason, Counter()).update(langs)
        for name, kinds in other.contamination.items():
            for kind, counts in kinds.items():
                self.contamination.setdefault(name, {}).setdefault(kind, Counter()).update(counts)
        self.kept.items += other.kept.items
        self.kept.rows.update(other.kept.rows)
        self.kept.pairs.update(other.kept.pairs)
        self.kept.sources.update(other.kept.sources)


COUNTS = TypeAdapter(CleanCounts)


def item_starts(ids: pa.ChunkedArray) -> np.ndarray:
    """int64: the rows at which another id begins than the one before."""
    names = np.asarray(ids.to_numpy(zero_copy_only=False), object)
    return np.flatnonzero(np.r_[True, names[1:] != names[:-1]][: len(names)])
