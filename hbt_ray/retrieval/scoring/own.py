"""Queries that are passages of the pool themselves (`RetrievalSet.own_passages`): they do not compete with themselves.

Ranks and lists are made with these passages in the pool, and then without them, so that no search has to know of them.
"""

from dataclasses import replace

import numpy as np

from hbt_ray.arrays import IntArray
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


def with_own(rs: RetrievalSet) -> tuple[RetrievalSet, IntArray]:
    """The set in which a query's own passages are relevant too, and where its true pairs are among the pairs, [G]."""
    queries = np.concatenate([rs.gold_queries, rs.own_queries])
    order = np.argsort(queries, kind="stable")  # inside a query the true pairs come first, in their order
    offsets = np.concatenate(([0], np.cumsum(np.bincount(queries, minlength=rs.num_queries))))
    passages = np.concatenate([rs.gold_passages, rs.own_passages])[order]
    none = np.empty(0, dtype=np.int64)
    whole = replace(
        rs, gold_offsets=offsets, gold_passages=passages, gold_grades=None, own_queries=none, own_passages=none
    )
    return whole, np.flatnonzero(order < len(rs.gold_passages))


def ranks_without_own(whole: RetrievalSet, true: IntArray, ranks: IntArray, *, by_lang: bool) -> IntArray:
    """Ranks [G] of the true pairs of `with_own`, less the own passages ahead of each; `by_lang`: of its language."""
    is_true = np.zeros(len(ranks), dtype=bool)
    is_true[true] = True
    out = ranks[true].copy()
    owner, langs = whole.gold_queries, whole.gold_langs
    true_owner, true_langs, true_ranks = owner[true], langs[true], ranks[true]
    for pair in np.flatnonzero(~is_true):  # few: a query has one in each language
        first, last = np.searchsorted(true_owner, [owner[pair], owner[pair] + 1])
        behind = true_ranks[first:last] > ranks[pair]
        if by_lang:
            behind &= true_langs[first:last] == langs[pair]
        out[first:last] -= behind
    return out


def num_own(rs: RetrievalSet) -> int:
    """The most own passages of a query: so many more a list must fetch."""
    return int(np.bincount(rs.own_queries).max()) if len(rs.own_queries) else 0


def lists_without_own(rs: RetrievalSet, ids: IntArray, length: int) -> tuple[IntArray, IntArray]:
    """(places [Nq, length], lists [Nq, length]) of lists [Nq, any] without own passages; -1 beyond the end of a list.

    Places are the columns of `ids` that were kept.
    """
    width = rs.num_passages + 1
    own = np.isin(np.arange(len(ids))[:, None] * width + ids, rs.own_queries * width + rs.own_passages)
    places = np.argsort(own, axis=1, kind="stable")[:, :length]
    kept = np.where(np.take_along_axis(own, places, axis=1), -1, np.take_along_axis(ids, places, axis=1))
    return places, kept
