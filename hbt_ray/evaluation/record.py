"""What a person is shown of an evaluation: a model's scores on a set, how sure they are, and where it fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hbt_ray.evaluation.worst import WorstQuery
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.retrieval.scoring.significance import Interval
from hbt_ray.stats.compare import Difference


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """One model on one retrieval set."""

    model: str
    """The model as the user named it."""
    scores: Scores
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How it was encoded and searched, as name -> value: precision, pooling, tokens, prefixes, date, ..."""
    intervals: tuple[Interval, ...] = ()
    """Of the headline numbers, from `stats.intervals`; empty where the set has a single question."""
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
    """One a headline number, from `stats.compare`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the numbers are called on this set, from `wording.metric_names`; else they have their usual names."""
