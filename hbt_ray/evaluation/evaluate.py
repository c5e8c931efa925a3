"""One model on one set: vectors from the store or the encoder, scores, how sure they are, and where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from hbt_ray.arrays import VectorArray
from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.record import Comparison, Evaluation
from hbt_ray.evaluation.worst import worst_queries
from hbt_ray.model.roles import ROLES, Role
from hbt_ray.retrieval.scoring.distinct import repeated
from hbt_ray.retrieval.scoring.lists import listed_ranks
from hbt_ray.retrieval.scoring.rank_metrics import CUTOFFS
from hbt_ray.retrieval.scoring.score import Scores, score, score_ranks
from hbt_ray.retrieval.scoring.search import TopK
from hbt_ray.retrieval.scoring.significance import compare, intervals
from hbt_ray.retrieval.scoring.wording import metric_names
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

SearchKind = Literal["exact", "sharded", "ivf", "hnsw"]
SEARCHES: tuple[SearchKind, ...] = get_args(SearchKind)
SHARE_DEPTH = 10
"""Depth of the pool at which the shares of languages are taken."""
FEWEST_LISTED = max(SHARE_DEPTH, *CUTOFFS.values())
"""Lists must reach every cut-off: R@100."""

Encode = Callable[[Sequence[str], Role], VectorArray]
"""[n] texts, role -> vectors [n, dim]."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How passages are found.

    `exact` ranks every passage, so every number is exact. The others list the first `depth`: `sharded` exactly, on
    Ray's workers; `ivf` and `hnsw` with an index, whose recall against exact search is measured. Passages beyond
    the lists count as ranked last.
    """

    kind: SearchKind = "exact"
    depth: int = 1000
    num_shards: int = 2

    def __post_init__(self) -> None:
        if self.kind not in SEARCHES:
            raise EvaluationError(f"search is {self.kind!r}; allowed are {', '.join(SEARCHES)}.")
        if self.depth < FEWEST_LISTED:
            raise EvaluationError(f"search depth is {self.depth}; it must be {FEWEST_LISTED} or more, for R@100.")
        if self.num_shards < 1:
            raise EvaluationError(f"number of shards is {self.num_shards}; it must be 1 or more.")


def evaluate(
    model: str,
    retrieval_set: RetrievalSet,
    encode: Encode,
    *,
    settings: dict[str, Any],
    search: Search,
    num_worst: int = 20,
    seed: int = 0,
) -> Evaluation:
    """Encode, search and score; `settings` say how `encode` encodes, for the record.

    Args:
        model: what the record calls it.
        retrieval_set: with texts.
        encode: of the model.
        settings: as name -> value.
        search: how passages are found.
        num_worst: of the worst queries that are kept with their texts; 0 for none.
        seed: of the intervals.

    Raises:
        EvaluationError: a set without texts, vectors that are NaN, and what `encode` and the search raise.
    """
    rs = retrieval_set
    began = time.perf_counter()
    queries, passages = (encode(_texts(rs, role), role) for role in ROLES)
    encoded = time.perf_counter()
    scores, notes = _score(rs, queries, passages, search)
    sure = intervals(scores, seed=seed) if len(np.unique(rs.query_keys)) > 1 else []
    worst = worst_queries(rs, queries, passages, scores, num=num_worst) if num_worst else ()
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
        notes=(*rs.notes, *notes),
    )


def compare_evaluations(a: Evaluation, b: Evaluation, *, seed: int = 0) -> Comparison:
    """`b` against `a`, both on one set; EvaluationError where they are not."""
    differences = tuple(compare(a.scores, b.scores, seed=seed))
    labels = {name: label for name, (label, _) in metric_names(a.scores).items()}
    return Comparison(set_name=a.scores.name, a=a.model, b=b.model, differences=differences, labels=labels)


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything of an evaluation that a program may want, in plain types; NaN becomes None."""
    rows = [asdict(query) for query in evaluation.worst]
    return {
        "model": evaluation.model,
        "settings": dict(evaluation.settings),
        "notes": list(evaluation.notes),
        **evaluation.scores.to_json(),
        "repeated": repeated(evaluation.scores),
        "intervals": {found.metric: [_plain(found.low), _plain(found.high)] for found in evaluation.intervals},
        "worst_queries": rows,
    }


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison in plain types."""
    rows = [{name: _plain(value) for name, value in asdict(row).items()} for row in comparison.differences]
    return {"set": comparison.set_name, "a": comparison.a, "b": comparison.b, "differences": rows}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


def _texts(rs: RetrievalSet, role: Role) -> Sequence[str]:
    texts = {"query": rs.queries, "passage": rs.passages}[role]
    if texts is None:
        raise EvaluationError(f"set {rs.name!r} has no {role} texts; give it texts, not only their ids.")
    return texts


def _score(rs: RetrievalSet, queries: VectorArray, passages: VectorArray, how: Search) -> tuple[Scores, list[str]]:
    if how.kind == "exact":
        return score(rs, queries, passages, SHARE_DEPTH), []
    notes = [
        f"Ranks are those of lists of the first {how.depth} passages; a relevant passage beyond them counts as last."
    ]
    recalls: list[tuple[float, str]] = []
    if how.kind == "sharded":
        from hbt_ray.retrieval.scoring.sharded import sharded_search

        sharded = partial(sharded_search, num_shards=how.num_shards)
        listed = listed_ranks(rs, queries, passages, how.depth, lambda _, q, p, k: sharded(q, p, k))
    else:
        from hbt_ray.retrieval.scoring.ann import ann_search

        def find(what: str, q: VectorArray, p: VectorArray, k: int) -> TopK:
            found, report = ann_search(q, p, k, how.kind)
            params = ", ".join(f"{name} {value}" for name, value in report.params.items())
            recalls.append((report.recall, f"{what} ({params})"))
            return found

        listed = listed_ranks(rs, queries, passages, how.depth, find)
        pool, (low, where) = recalls[0], min(recalls)
        notes.append(
            f"{how.kind} found {pool[0]:.4f} of the exact lists in {pool[1]}, and at the least {low:.4f} in {where}."
        )
    return score_ranks(rs, listed.ranks, listed.top_ids[:, :SHARE_DEPTH]), notes


def vectors_here(encoder: Any, spec: Any, store: Path, progress: Callable[[Role, int, int], object]) -> Encode:
    """Encoding in this process with `encoder`, an `Encoder` that `spec` describes; what `store` has is not encoded."""
    from hbt_ray.model.precision import autocast
    from hbt_ray.retrieval.encoding.vector_store import VectorStore, encode_cached

    def encode(texts: Sequence[str], role: Role) -> VectorArray:
        with autocast(encoder.device, spec.precision):
            vectors = VectorStore(store, spec.fingerprint(role), encoder.dim)
            return encode_cached(encoder, texts, role, vectors, partial(progress, role))

    return encode


def vectors_on_cluster(
    encoder: Any, spec: Any, store: Path, progress: Callable[[Role, int, int], object], num_cpus: int
) -> Encode:
    """Encoding by Ray's actors, a GPU or `num_cpus` cores each; Ray must be connected."""
    from hbt_ray.retrieval.encoding.ray_encode import ray_encode
    from hbt_ray.retrieval.encoding.vector_store import VectorStore

    def encode(texts: Sequence[str], role: Role) -> VectorArray:
        vectors = VectorStore(store, spec.fingerprint(role), encoder.dim)
        return ray_encode(spec, texts, role, vectors, partial(progress, role), num_cpus=num_cpus)

    return encode
