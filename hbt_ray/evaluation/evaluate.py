"""One model on one set: vectors from the store or the encoder, scores, how sure they are, and where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hbt_ray.arrays import VectorArray
from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.worst import WorstQuery, worst_queries
from hbt_ray.model.roles import ROLES, Role
from hbt_ray.retrieval.scoring.distinct import metric_names
from hbt_ray.retrieval.scoring.score import Scores, score_ranks
from hbt_ray.retrieval.scoring.searches import SEARCHES, SHARE_DEPTH, SearchSettings
from hbt_ray.retrieval.scoring.significance import Interval, compare, intervals
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.stats.compare import Difference

Encode = Callable[[Sequence[str], Role], VectorArray]
"""[n] texts, role -> vectors [n, dim]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """One model on one retrieval set."""

    model: str
    """The model as the user named it."""
    scores: Scores
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How it was encoded and searched, as name -> value: precision, pooling, tokens, prefixes, date, ..."""
    intervals: tuple[Interval, ...] = ()
    """Of the headline numbers, from `significance.intervals`; empty where the set has a single question."""
    worst: tuple[WorstQuery, ...] = ()
    """The worst queries, from `worst.worst_queries`."""
    notes: tuple[str, ...] = ()
    """What was left out, cut or pooled to make the set."""

    def interval(self, metric: str) -> Interval | None:
        """The interval of a headline number; None where it has none."""
        return next((row for row in self.intervals if row.metric == metric), None)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Model b against model a on one set."""

    set_name: str
    a: str
    """The model that b is held against, as the user named it."""
    b: str
    differences: tuple[Difference, ...]
    """One a headline number, from `significance.compare`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the numbers are called on this set, from `distinct.metric_names`; else they have their usual names."""


def evaluate(
    model: str,
    retrieval_set: RetrievalSet,
    encode: Encode,
    *,
    settings: dict[str, Any],
    search: SearchSettings,
) -> Evaluation:
    """Encode, search and score; `settings` say how `encode` encodes, for the record.

    Args:
        model: what the record calls it.
        retrieval_set: with texts.
        encode: of the model.
        settings: as name -> value.
        search: how passages are found.

    Raises:
        EvaluationError: a set without texts, vectors that are NaN, and what `encode` and the search raise.
    """
    rs = retrieval_set
    began = time.perf_counter()
    queries, passages = (encode(_texts(rs, role), role) for role in ROLES)
    encoded = time.perf_counter()
    ranking = SEARCHES[search.kind](rs, queries, passages, search)
    scores = score_ranks(rs, ranking.ranks, ranking.top_ids[:, :SHARE_DEPTH])
    sure = intervals(scores) if len(np.unique(rs.query_keys)) > 1 else []
    worst = worst_queries(rs, queries, passages, scores)
    done = time.perf_counter()
    timing = {
        "search": "exact, all passages" if search.kind == "exact" else f"{search.kind}, first {search.depth}",
        "encoding": f"{encoded - began:.1f} s",
        "scoring": f"{done - encoded:.1f} s",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return Evaluation(
        model=model,
        scores=scores,
        settings={**settings, "dim": queries.shape[1], **timing},
        intervals=tuple(sure),
        worst=worst,
        notes=(*rs.notes, *ranking.notes),
    )


def compare_evaluations(a: Evaluation, b: Evaluation) -> Comparison:
    """`b` against `a`, both on one set; EvaluationError where they are not."""
    differences = tuple(compare(a.scores, b.scores))
    labels = {name: label for name, (label, _) in metric_names(a.scores).items()}
    return Comparison(set_name=a.scores.name, a=a.model, b=b.model, differences=differences, labels=labels)


def _texts(rs: RetrievalSet, role: Role) -> Sequence[str]:
    texts = {"query": rs.queries, "passage": rs.passages}[role]
    if texts is None:
        raise EvaluationError(f"set {rs.name!r} has no {role} texts; give it texts, not only their ids.")
    return texts
