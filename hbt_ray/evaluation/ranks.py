"""Exact ranks of the relevant passages in full rankings, without ever holding all the scores."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbt_ray.evaluation.arrays import IntArray, VectorArray, vector_pair
from hbt_ray.evaluation.sets import RetrievalSet

TILE_BYTES = 64 * 2**20
"""Scores held at a time: 1,289 queries of the pool of 13,014 of XQuAD-R; 128 MiB were 4% faster."""
ROWS_PER_COUNT = 255
"""Passages compared before counts leave uint8, in which NumPy adds 32 at a time."""
COPY_COST = 4
"""Copying a column of scores and comparing it takes as long as comparing this many in place."""


class GoldRanks(NamedTuple):
    """1-based ranks, one a (query, relevant passage) pair in the order of `RetrievalSet.gold_passages`."""

    within: IntArray
    """Among the passages of the relevant passage's own language, [G]."""
    pooled: IntArray
    """Among the passages of all languages, [G]."""


def gold_ranks(
    retrieval_set: RetrievalSet,
    query_vectors: NDArray[Any],
    passage_vectors: NDArray[Any],
    tile_bytes: int = TILE_BYTES,
) -> GoldRanks:
    """Ranks of relevant passages by inner product; `query_vectors` [Nq, dim], `passage_vectors` [Nd, dim].

    Passages rank by descending float32 score, those of equal score by ascending row. The other relevant
    passages of a query are ranked documents like all others. Where passages have several texts each
    (`text_passages`), the vectors are those of the texts, [Nc, dim], and a passage's score is its best one's.
    Memory: `tile_bytes`, half as much
    for parts of it, a copy of the passages, and a few times the ranks.

    Raises EvaluationError where rows or dimensions do not match, and for NaN or infinite vectors.
    """
    rs = retrieval_set
    queries, passages = vector_pair(query_vectors, passage_vectors, rs.num_queries, rs.num_texts)
    # Passages by language, so that one pass over them counts for the language and the pool; stable, so that
    # inside a language the order of rows, which breaks ties, is kept.
    by_lang = np.argsort(rs.passage_langs, kind="stable")
    position = np.empty_like(by_lang)
    position[by_lang] = np.arange(len(by_lang))
    bounds = np.searchsorted(rs.passage_langs[by_lang], np.arange(rs.num_langs + 1))
    starts = None
    if rs.text_passages is None:
        passages = passages[by_lang]
    else:
        of_text = position[rs.text_passages]
        texts = np.argsort(of_text, kind="stable")
        passages, starts = passages[texts], np.searchsorted(of_text[texts], np.arange(rs.num_passages))
    rows: NDArray[np.int32] = by_lang.astype(np.int32)  # half the traffic of int64 where all is tied
    within, pooled = np.empty((2, len(rs.gold_passages)), dtype=np.int64)
    tile = max(16, tile_bytes // (4 * rs.num_texts))
    for start in range(0, rs.num_queries, tile):
        stop = min(start + tile, rs.num_queries)
        offsets = rs.gold_offsets[start : stop + 1]
        pairs = slice(offsets[0], offsets[-1])
        scores = passages @ queries[start:stop].T  # [Nd, tile]: counting then runs along queries
        if starts is not None:
            scores = np.maximum.reduceat(scores, starts, axis=0)
        gold = rs.gold_passages[pairs]
        within[pairs], pooled[pairs] = _tile_ranks(scores, offsets - offsets[0], position[gold], bounds, rows)
    return GoldRanks(within, pooled)


def _tile_ranks(
    scores: VectorArray, offsets: IntArray, gold: IntArray, bounds: IntArray, rows: NDArray[np.int32]
) -> tuple[IntArray, IntArray]:
    """(within, pooled) ranks of `gold` [g], positions in `scores` [Nd, tile]; `rows` [Nd] breaks ties."""
    num_tile = scores.shape[1]
    column = np.repeat(np.arange(num_tile), np.diff(offsets))
    lang = np.searchsorted(bounds, gold, side="right") - 1
    within, pooled = np.ones((2, len(gold)), dtype=np.int64)
    slot = np.arange(len(gold)) - np.repeat(offsets[:-1], np.diff(offsets))
    for number in range(int(slot.max()) + 1):  # the first gold of each query, then the second, ...
        pairs = np.flatnonzero(slot == number)
        columns = column[pairs]
        if len(pairs) * COPY_COST < num_tile:
            ahead = _num_ahead(scores[:, columns], gold[pairs], bounds, rows)
            columns = np.arange(len(pairs))
        else:
            target = np.zeros(num_tile, dtype=np.int64)  # a query without this gold compares with any passage
            target[columns] = gold[pairs]
            ahead = _num_ahead(scores, target, bounds, rows)
        within[pairs] += ahead[lang[pairs], columns]
        pooled[pairs] += ahead[:, columns].sum(axis=0)
    return within, pooled


def _num_ahead(scores: VectorArray, gold: IntArray, bounds: IntArray, rows: NDArray[np.int32]) -> IntArray:
    """How many passages of each language rank above `gold` [n] in the columns of `scores` [Nd, n]; [L, n]."""
    against = scores[gold, np.arange(len(gold))]
    ahead = _count(bounds, len(gold), lambda at: scores[at] > against)
    at_least = _count(bounds, len(gold), lambda at: scores[at] >= against)
    tied = np.flatnonzero((at_least - ahead).sum(axis=0) > 1)  # a passage is level with itself
    if len(tied):
        few = len(tied) * COPY_COST < len(gold)
        columns = tied if few else np.arange(len(gold))  # a column without a tie has 0 to add
        level = scores[:, tied] if few else scores
        against, limit = against[columns], rows[gold[columns]]
        ahead[:, columns] += _count(bounds, len(columns), lambda at: (level[at] == against) & (rows[at, None] < limit))
    return ahead


def _count(bounds: IntArray, num_columns: int, hits: Callable[[slice], NDArray[np.bool_]]) -> IntArray:
    """Hits by language [L, num_columns]; `hits` gives those of a slice of the passages, [n, num_columns]."""
    counts = np.zeros((len(bounds) - 1, num_columns), dtype=np.int64)
    for lang, (low, high) in enumerate(pairwise(bounds)):
        for first in range(low, high, ROWS_PER_COUNT):
            part = hits(slice(first, min(first + ROWS_PER_COUNT, high)))
            counts[lang] += np.add.reduce(part.view(np.uint8), axis=0, dtype=np.uint8)
    return counts
