"""Language bias: how differently a retriever treats answers that say the same in different languages."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


class ParallelRanks(NamedTuple):
    """Per query [Nq], over the languages that hold an answer; NaN where fewer than two languages do."""

    distance: FloatArray
    """Highest minus lowest pooled rank of the parallel answers, in places; lower is fairer."""
    worst: FloatArray
    """Pooled rank at which the last of the parallel answers is found."""


def parallel_ranks(retrieval_set: RetrievalSet, pooled_ranks: IntArray) -> ParallelRanks:
    """Rank distance of every query, from the ranks [G] of its relevant passages in the pool of all languages.

    The rank distance of arXiv 2408.10536 (after KD-SPD, arXiv 2305.09025), to be averaged over the queries of
    a language and then over languages. A language with several answers stands for its best-ranked one: copies
    of a text inside one language say nothing about languages.
    """
    rs = retrieval_set
    num_langs = rs.num_langs
    cells, cell = np.unique(rs.gold_queries * num_langs + rs.gold_langs, return_inverse=True)
    best = np.full(len(cells), np.iinfo(np.int64).max)
    np.minimum.at(best, cell, pooled_ranks)
    asking, starts, num_answers = np.unique(cells // num_langs, return_index=True, return_counts=True)
    parallel = num_answers > 1
    lowest, highest = np.minimum.reduceat(best, starts)[parallel], np.maximum.reduceat(best, starts)[parallel]
    distance, worst = np.full((2, rs.num_queries), np.nan)
    distance[asking[parallel]] = highest - lowest
    worst[asking[parallel]] = highest
    return ParallelRanks(distance, worst)


class LanguageShare(NamedTuple):
    """Whose passages fill the top of the pooled ranking; each row sums to 1, or is NaN where no query has an answer."""

    found: FloatArray
    """Share of passage language d among the top k for queries in language q, [Lq, Ld]."""
    relevant: FloatArray
    """Share of passage language d among the relevant passages of those queries, [Lq, Ld]: what is due."""

    @property
    def excess(self) -> FloatArray:
        """Found minus due, averaged over query languages, [Ld]: above 0 for a language that is preferred."""
        asked = ~np.isnan(self.found[:, 0])
        return np.asarray((self.found - self.relevant)[asked].mean(axis=0), dtype=np.float64)


def language_share(retrieval_set: RetrievalSet, top_ids: IntArray) -> LanguageShare:
    """Shares from the first passages [Nq, k] that a search found for each query in the pool; -1 is no passage.

    Queries all of whose answers are lost are left out: nothing is due to any language.
    """
    rs = retrieval_set
    answered = np.diff(rs.gold_offsets) > 0
    row, place = np.nonzero((top_ids >= 0) & answered[:, None])
    found = _cells(rs.query_langs[row], rs.passage_langs[top_ids[row, place]], rs.num_langs)
    # Each query weighs the same, whatever number of relevant passages it has.
    weight = 1.0 / np.repeat(np.diff(rs.gold_offsets), np.diff(rs.gold_offsets))
    relevant = _cells(rs.query_langs[rs.gold_queries], rs.gold_langs, rs.num_langs, weight)
    return LanguageShare(found, relevant)


def _cells(
    query_langs: IntArray, passage_langs: IntArray, num_langs: int, weight: FloatArray | None = None
) -> FloatArray:
    cell = query_langs * num_langs + passage_langs
    total = np.bincount(cell, weight, minlength=num_langs**2).reshape(num_langs, num_langs)
    asked = total.sum(axis=1, keepdims=True)
    return np.where(asked > 0, total / np.where(asked > 0, asked, 1), np.nan)


def worst_lang(values: FloatArray) -> int | None:
    """Index of the lowest value [L] that is not NaN (the first of equals); None if there is none."""
    return None if np.isnan(values).all() else int(np.nanargmin(values))


def worst_pair(matrix: FloatArray) -> tuple[int, int] | None:
    """(query, passage) language of the lowest value off the diagonal of [L, L]; None if there is none."""
    pairs = matrix.astype(np.float64)
    np.fill_diagonal(pairs, np.nan)
    flat = worst_lang(pairs.ravel())
    return None if flat is None else (flat // len(matrix), flat % len(matrix))


class Pair(NamedTuple):
    """A query language, a passage language and the mAP of one on the other."""

    query: str
    passage: str
    value: float


def extreme_pairs(langs: Sequence[str], matrix: FloatArray, num: int) -> tuple[list[Pair], list[Pair]]:
    """The best and the worst ordered pairs of two languages, at most `num` each and none in
    both, the most extreme first."""
    row, column = np.nonzero(~np.eye(len(langs), dtype=bool) & ~np.isnan(matrix))
    order = np.argsort(-matrix[row, column], kind="stable")
    pairs = [Pair(langs[row[place]], langs[column[place]], float(matrix[row[place], column[place]])) for place in order]
    count = min(num, len(pairs) // 2)
    return pairs[:count], pairs[::-1][:count]
