"""What is ranked: queries, passages, their languages, and which passages answer which query."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import IntArray, index_array
from hbt_ray.errors import EvaluationError

ANY_GRADE = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True, eq=False)
class RetrievalSet:
    """Queries and one pool of passages in several languages, with the relevant passages of every query.

    Nq queries, Nd passages, G (query, relevant passage) pairs. Gold is in compressed rows: the relevant
    passages of query q, in ALL languages, are `gold_passages[gold_offsets[q]:gold_offsets[q + 1]]`.

    Judgements can name relevant passages that the corpus lacks: they are kept apart (`lost_queries`) and count as
    never found, as trec_eval counts them.

    Raises EvaluationError where lengths differ, an index is out of range, a passage id or a gold passage
    comes twice, or a query has no relevant passage at all, not even a lost one.
    """

    name: str
    """What the set is called in reports."""
    langs: tuple[str, ...]
    """Language codes; the language arrays below are indices into it."""
    query_langs: IntArray
    """Language of each query, [Nq]."""
    query_keys: NDArray[Any]
    """Language-independent question id (strings or integers), [Nq]; parallel questions share it."""
    passage_langs: IntArray
    """Language of each passage, [Nd]."""
    passage_ids: NDArray[Any]
    """Passage id (strings or integers), [Nd], unique within its language."""
    gold_offsets: IntArray
    """Where each query's gold begins and ends, [Nq + 1]."""
    gold_passages: IntArray
    """Rows of the relevant passages, [G]."""
    queries: Sequence[str] | None = field(default=None, repr=False)
    """Query texts, [Nq]; None for a set that is tokenised already."""
    passages: Sequence[str] | None = field(default=None, repr=False)
    """Passage texts, [Nd], or [Nc] with `text_passages`; None for a set that is tokenised already."""
    gold_grades: IntArray | None = None
    """Grade of each gold pair, 1 or more, [G]; None where all are 1. Graded metrics use it, binary ones do not."""
    text_passages: IntArray | None = None
    """The passage that each encoded text is a part of, [Nc], ascending, each passage at least once; a passage
    then scores as the best of its texts. None where a passage is one text."""
    lost_queries: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """The query of each relevant passage that no language has, [M]."""
    lost_grades: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Their grades, 1 or more, [M]."""
    own_queries: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Queries that are passages of the pool themselves, one a (query, passage) pair, [S]."""
    own_passages: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """That passage, in every language that has it, [S]: it is not ranked for the query, and is never relevant to it."""
    notes: tuple[str, ...] = ()
    """What a reader of the scores has to know of how the set was made: what was left out, cut or pooled."""

    def __post_init__(self) -> None:
        if not self.langs or len(set(self.langs)) != len(self.langs):
            raise EvaluationError(f"langs of set {self.name!r} is {self.langs}; give each language once.")
        object.__setattr__(self, "query_keys", np.asarray(self.query_keys))
        object.__setattr__(self, "passage_ids", np.asarray(self.passage_ids))
        if not self.num_queries or not self.num_passages:
            raise EvaluationError(
                f"set {self.name!r} has {self.num_queries} queries and {self.num_passages} passages; it needs both."
            )
        self._check("query_langs", self.num_queries, self.num_langs)
        self._check("passage_langs", self.num_passages, self.num_langs)
        self._check("gold_passages", None, self.num_passages)
        self._check("gold_offsets", self.num_queries + 1, len(self.gold_passages) + 1)
        self._check("gold_grades", len(self.gold_passages), ANY_GRADE)
        self._check("lost_queries", None, self.num_queries)
        self._check("lost_grades", len(self.lost_queries), ANY_GRADE)
        self._check("text_passages", None, self.num_passages)
        self._check("own_queries", None, self.num_queries)
        self._check("own_passages", len(self.own_queries), self.num_passages)
        if (self.grades < 1).any():
            raise EvaluationError(
                f"gold_grades of set {self.name!r} holds grades below 1; leave out what is not relevant."
            )
        parts = np.arange(self.num_passages) if self.text_passages is None else self.text_passages
        steps = np.diff(parts, prepend=-1, append=self.num_passages)
        if ((steps < 0) | (steps > 1)).any():
            raise EvaluationError(
                f"text_passages of set {self.name!r} must name every passage, in ascending order; "
                "write the texts of a passage one after the other."
            )
        for texts, name, count in (
            (self.queries, "queries", self.num_queries),
            (self.passages, "passages", self.num_texts),
        ):
            if texts is not None and len(texts) != count:
                raise EvaluationError(
                    f"set {self.name!r} has {len(texts)} {name} but {count} rows of them; give a text a row."
                )
        self._check_ids()
        self._check_gold()

    def _check(self, name: str, length: int | None, end: int) -> None:
        """Make a field, where it is not None, a checked array of whole numbers from 0 up to `end`."""
        if getattr(self, name) is not None:
            object.__setattr__(self, name, index_array(name, getattr(self, name), length, end))

    def _check_ids(self) -> None:
        order = np.lexsort((self.passage_ids, self.passage_langs))
        ids, langs = self.passage_ids[order], self.passage_langs[order]
        twice = np.flatnonzero((ids[1:] == ids[:-1]) & (langs[1:] == langs[:-1]))
        if len(twice):
            raise EvaluationError(
                f"set {self.name!r} has passage id {ids[twice[0]]!s} twice in {self.langs[langs[twice[0]]]} "
                f"({len(twice)} repeats); give each passage of a language its own id."
            )

    def _check_gold(self) -> None:
        counts = np.diff(self.gold_offsets)
        if self.gold_offsets[0] != 0 or self.gold_offsets[-1] != len(self.gold_passages) or (counts < 0).any():
            raise EvaluationError(
                f"gold_offsets of set {self.name!r} must rise from 0 to {len(self.gold_passages)}, "
                f"the number of gold passages; rebuild it as a cumulative sum of the counts."
            )
        without = np.flatnonzero(counts + self.num_lost == 0)
        if len(without):
            first = int(without[0])
            raise EvaluationError(
                f"query {self.query_keys[first]!s} ({self.langs[self.query_langs[first]]}) of set "
                f"{self.name!r} has no relevant passage in any language ({len(without)} such queries); "
                "drop it, or add its gold."
            )
        order = np.lexsort((self.gold_passages, self.gold_queries))
        query, passage = self.gold_queries[order], self.gold_passages[order]
        twice = np.flatnonzero((query[1:] == query[:-1]) & (passage[1:] == passage[:-1]))
        if len(twice):
            raise EvaluationError(
                f"query {self.query_keys[query[twice[0]]]!s} of set {self.name!r} names passage "
                f"{self.passage_ids[passage[twice[0]]]!s} as gold twice; list each relevant passage once."
            )

    @property
    def num_queries(self) -> int:
        return len(self.query_keys)

    @property
    def num_passages(self) -> int:
        return len(self.passage_ids)

    @property
    def num_texts(self) -> int:
        """Rows of the passage vectors: one a passage, or one a text where passages have several."""
        return self.num_passages if self.text_passages is None else len(self.text_passages)

    @property
    def grades(self) -> IntArray:
        """The grade of each gold pair, [G]."""
        return np.ones(len(self.gold_passages), dtype=np.int64) if self.gold_grades is None else self.gold_grades

    @property
    def num_lost(self) -> IntArray:
        """Relevant passages of each query that no language has, [Nq]."""
        return np.bincount(self.lost_queries, minlength=self.num_queries)

    @property
    def num_langs(self) -> int:
        return len(self.langs)

    @property
    def gold_queries(self) -> IntArray:
        """The query of each gold pair, [G]."""
        return np.repeat(np.arange(self.num_queries), np.diff(self.gold_offsets))

    @property
    def gold_langs(self) -> IntArray:
        """The passage language of each gold pair, [G]."""
        return self.passage_langs[self.gold_passages]
