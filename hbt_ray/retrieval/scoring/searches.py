"""How the passages of a set are searched for its evaluation: a function for each way, in the dict SEARCHES."""

from collections.abc import Callable
from dataclasses import dataclass

from hbt_ray.arrays import VectorArray
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.lists import Ranking, listed_ranks
from hbt_ray.retrieval.scoring.rank_metrics import CUTOFFS
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from hbt_ray.retrieval.scoring.search import TopK, search_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

SHARE_DEPTH = 10
"""Depth of the pool at which the shares of languages are taken."""
FEWEST_LISTED = max(SHARE_DEPTH, *CUTOFFS.values())
"""Lists must reach every cut-off: R@100."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Which search, and its arguments; EvaluationError for values that cannot be used."""

    kind: str = "exact"
    """Key of SEARCHES."""
    depth: int = 1000
    """Length of the lists; passages beyond them count as ranked last."""
    num_shards: int = 2

    def __post_init__(self) -> None:
        if self.kind not in SEARCHES:
            raise EvaluationError(f"search is {self.kind!r}; allowed are {', '.join(SEARCHES)}.")
        if self.depth < FEWEST_LISTED:
            raise EvaluationError(f"search depth is {self.depth}; it must be {FEWEST_LISTED} or more, for R@100.")
        if self.num_shards < 1:
            raise EvaluationError(f"number of shards is {self.num_shards}; it must be 1 or more.")


Search = Callable[[RetrievalSet, VectorArray, VectorArray, SearchSettings], Ranking]
"""(set, query vectors [Nq, dim], passage vectors [num_texts, dim], settings) -> ranks."""


def exact(rs: RetrievalSet, queries: VectorArray, passages: VectorArray, settings: SearchSettings) -> Ranking:
    """The rank of every relevant passage among all passages."""
    return Ranking(gold_ranks(rs, queries, passages), search_set(rs, queries, passages, SHARE_DEPTH).ids)


def sharded(rs: RetrievalSet, queries: VectorArray, passages: VectorArray, settings: SearchSettings) -> Ranking:
    """Exact lists, of shards on Ray's workers."""
    from hbt_ray.retrieval.scoring.sharded import sharded_search

    def find(_: str, q: VectorArray, p: VectorArray, k: int) -> TopK:
        return sharded_search(q, p, k, num_shards=settings.num_shards)

    return listed_ranks(rs, queries, passages, settings.depth, find)


def ivf(rs: RetrievalSet, queries: VectorArray, passages: VectorArray, settings: SearchSettings) -> Ranking:
    """Lists from an index, whose recall against exact search is measured and noted."""
    from hbt_ray.retrieval.scoring.ivf import ivf_search

    recalls: list[tuple[float, str]] = []

    def find(where: str, q: VectorArray, p: VectorArray, k: int) -> TopK:
        top, report = ivf_search(q, p, k)
        recalls.append((report.recall, f"{where} (nlist {report.nlist}, nprobe {report.nprobe})"))
        return top

    ranking = listed_ranks(rs, queries, passages, settings.depth, find)
    (recall, pool), (low, where) = recalls[0], min(recalls)
    note = f"ivf found {recall:.4f} of the exact lists in {pool}, and at the least {low:.4f} in {where}."
    return ranking._replace(notes=(*ranking.notes, note))


SEARCHES: dict[str, Search] = {"exact": exact, "sharded": sharded, "ivf": ivf}
"""Kind -> its function; the first is the default."""
