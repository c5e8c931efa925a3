"""What a card says; plain types, so that its JSON is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAX_LANGS = 8
"""Languages that are named with a reason, those with most rows first."""


@dataclass(frozen=True, kw_only=True)
class LangRow:
    """One language."""

    lang: str
    rows: int
    """Items that have it."""
    dev: int | None = None
    """Of these, dev items."""
    rejected: int | None = None
    """Rows that cleaning set aside."""
    query_tokens: Mapping[str, float] | None = None
    """mean, p50, p95, max, and the share that is cut."""
    passage_tokens: Mapping[str, float] | None = None
    tokens_per_word: float | None = None
    """Fertility of the tokenizer; None where words are not written apart."""
    tokens_per_char: float | None = None


@dataclass(frozen=True, kw_only=True)
class Count:
    """Rows that have something in common."""

    what: str
    rows: int
    share: float
    """Of the rows of the corpus before."""
    langs: tuple[tuple[str, int], ...] = ()
    """Those with most."""

    @staticmethod
    def of(what: str, langs: Counter[str], total: int) -> Count:
        """From the rows of each language."""
        rows = langs.total()
        return Count(what=what, rows=rows, share=rows / max(1, total), langs=tuple(langs.most_common(MAX_LANGS)))


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """One source."""

    source: str
    items: int
    licence: str
    citation: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A corpus in numbers."""

    title: str
    kind: str
    """`prepared` or `cleaned`."""
    items: int
    rows: int
    facts: Mapping[str, str]
    """What it was made from, and how."""
    langs: tuple[LangRow, ...]
    coverage: tuple[tuple[int, ...], ...]
    """Items that have both languages, in the order of `langs`; a language with itself: items that have it."""
    rejected: tuple[Count, ...] = ()
    unusable: tuple[Count, ...] = ()
    contamination: tuple[Count, ...] = ()
    sources: tuple[SourceRow, ...] = field(default_factory=tuple)


def coverage_of(langs: Sequence[str], rows: Mapping[str, int], pairs: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """The matrix, from the rows of each language and the items of each pair `a b` (a < b)."""

    def both(a: str, b: str) -> int:
        return rows.get(a, 0) if a == b else pairs.get(" ".join(sorted((a, b))), 0)

    return tuple(tuple(both(a, b) for b in langs) for a in langs)
