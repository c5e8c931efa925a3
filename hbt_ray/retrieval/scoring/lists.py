"""Ranks of the relevant passages from lists of the first k: for searches that do not rank every passage."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hbt_ray.arrays import IntArray, VectorArray
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.own import lists_without_own, num_own, ranks_without_own, with_own
from hbt_ray.retrieval.scoring.ranks import GoldRanks
from hbt_ray.retrieval.scoring.search import TopK
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

Find = Callable[[str, VectorArray, VectorArray, int], TopK]
"""(what is searched, query vectors, passage vectors, k) -> the best k passages of every query."""


class Ranking(NamedTuple):
    """What a search tells of a set."""

    ranks: GoldRanks
    top_ids: IntArray
    """First passages of the pool, [Nq, k]; -1 beyond the end of a list."""
    notes: tuple[str, ...] = ()
    """What a reader of the scores has to know of the search."""


def listed_ranks(
    retrieval_set: RetrievalSet, query_vectors: VectorArray, passage_vectors: VectorArray, depth: int, find: Find
) -> Ranking:
    """Ranks of the relevant passages in lists of the first `depth` passages, of the pool and of each language.

    A relevant passage that its list does not hold is ranked last of all, as low as it can be: recall, nDCG and MRR
    at a cut-off up to the length of the lists are those of the lists, and average precision and rank distance are
    those of a ranking that ends in the worst way. `query_vectors` [Nq, dim], `passage_vectors` [num_texts, dim].
    Raises EvaluationError for a depth below 1, and as `find` does.
    """
    rs = retrieval_set
    if depth < 1:
        raise EvaluationError(f"depth of the lists is {depth}; it must be 1 or more (1000, for instance).")
    if more := num_own(rs):
        whole, true = with_own(rs)
        ranking = listed_ranks(whole, query_vectors, passage_vectors, depth + more, find)
        parts = (ranks_without_own(whole, true, part, by_lang=part is ranking.ranks.within) for part in ranking.ranks)
        return ranking._replace(
            ranks=GoldRanks(*parts), top_ids=lists_without_own(rs, ranking.top_ids, ranking.top_ids.shape[1])[1]
        )
    text_langs = rs.passage_langs if rs.text_passages is None else rs.passage_langs[rs.text_passages]
    every = np.arange(rs.num_texts)
    pool = _lists(rs, "the pool", query_vectors, passage_vectors, every, depth, find)
    pooled = _ranks(pool, rs.gold_queries, rs.gold_passages, np.full(rs.num_langs, rs.num_passages), rs)
    within = np.empty_like(pooled)
    sizes = np.bincount(rs.passage_langs, minlength=rs.num_langs)
    for lang, code in enumerate(rs.langs):
        pairs = np.flatnonzero(rs.gold_langs == lang)
        if not len(pairs):
            continue
        asking, row = np.unique(rs.gold_queries[pairs], return_inverse=True)
        texts = np.flatnonzero(text_langs == lang)
        lists = _lists(rs, code, query_vectors[asking], passage_vectors, texts, depth, find)
        within[pairs] = _ranks(lists, row, rs.gold_passages[pairs], sizes, rs)
    note = f"Ranks are those of lists of the first {depth} passages; a relevant passage beyond them counts as last."
    return Ranking(GoldRanks(within, pooled), pool, (note,))


def _lists(
    rs: RetrievalSet,
    what: str,
    query_vectors: VectorArray,
    passage_vectors: VectorArray,
    texts: IntArray,
    depth: int,
    find: Find,
) -> IntArray:
    """The first `depth` passages of every query, or all, among those of `texts`; then -1 in longer lists.

    Where passages have several texts, lists of texts are made twice as long until they hold as many passages.
    """
    vectors = passage_vectors if len(texts) == rs.num_texts else passage_vectors[texts]
    if rs.text_passages is None:
        return texts[find(what, query_vectors, vectors, depth).ids]
    wanted = min(depth, len(np.unique(rs.text_passages[texts])))
    length = depth
    while True:
        lists = _passages(rs.text_passages[texts[find(what, query_vectors, vectors, length).ids]])
        if length >= len(texts) or (lists[:, :wanted] >= 0).all():
            return lists
        length *= 2


def _passages(lists: IntArray) -> IntArray:
    """Each passage of the lists [n, k] where it comes first, then -1."""
    out = np.full(lists.shape, -1, dtype=np.int64)
    for row, passages in enumerate(lists):
        kept = np.sort(np.unique(passages, return_index=True)[1])
        out[row, : len(kept)] = passages[kept]
    return out


def _ranks(lists: IntArray, rows: IntArray, passages: IntArray, sizes: IntArray, rs: RetrievalSet) -> IntArray:
    """Rank of `passages` [g] in the lists [n, k] of `rows` [g]; without a place the last of `sizes` of its language."""
    width = rs.num_passages + 1
    keys = (np.arange(len(lists))[:, None] * width + lists + 1).ravel()
    order = np.argsort(keys)
    wanted = rows * width + passages + 1
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    ranks: IntArray = place % lists.shape[1] + 1
    lost = np.flatnonzero(keys[place] != wanted)
    # Several lost ones of a query take the last places, one each.
    by_row = lost[np.argsort(rows[lost], kind="stable")]
    counts = np.bincount(rows[by_row], minlength=len(lists))
    number = np.arange(len(by_row)) - (np.cumsum(counts) - counts)[rows[by_row]]
    ranks[by_row] = sizes[rs.passage_langs[passages[by_row]]] - number
    return ranks
