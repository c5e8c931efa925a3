"""Exact ranks of the relevant passages in full rankings, without ever holding all the scores.

The ranks depend on the scores alone: each row of them is ranked by itself, so neither the number of threads nor
how rows are dealt to them can matter. The scores are products of BLAS in float32: another BLAS, number of its
threads or size of tile may round the last bit of a score differently, and so exchange passages whose scores are that
close. On one machine with one `tile_bytes` they do not change.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import IntArray, VectorArray, vector_pair
from hbt_ray.retrieval.scoring.copies import find_copies
from hbt_ray.retrieval.scoring.own import ranks_without_own, with_own
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

TILE_BYTES = 64 * 2**20
"""Scores held at a time, in two tiles: each of 644 queries of the pool of 13,014 of XQuAD-R."""
BLOCK_BYTES = 8 * 2**20
"""Scores that a thread ranks at a time."""
MAX_COMPARED = 4
"""A row of scores is compared with up to this many relevant passages, and sorted for more.

On 13,014 scores a row, with AVX-512, comparing took 0.6 ns a score for each passage (4: 2.42), sorting 2.6 in all; the
same holds at 200,000. Rows of 1,183 cross at 6 and rows of 123 at 18, where the other choice costs little in sum.
"""


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
    num_threads: int | None = None,
) -> GoldRanks:
    """Ranks of relevant passages by inner product; `query_vectors` [Nq, dim], `passage_vectors` [Nd, dim].

    Passages rank by descending float32 score, those of equal score, and copies, by ascending row. The other relevant
    passages of a query are ranked documents like all others; its own passages are none. Where passages have several
    texts each (`text_passages`), the vectors are those of the texts, [Nc, dim], and a passage's score is its best
    one's. `num_threads` rank rows of scores at the same time; None takes one a CPU. Memory: `tile_bytes`, about twice
    `BLOCK_BYTES` a thread, a few times the ranks, and a copy of the passages unless they come language by language.

    Raises EvaluationError where rows or dimensions do not match, and for NaN or infinite vectors.
    """
    rs = retrieval_set
    if len(rs.own_queries):
        whole, true = with_own(rs)
        ranks = gold_ranks(whole, query_vectors, passage_vectors, tile_bytes, num_threads)
        return GoldRanks(
            *(ranks_without_own(whole, true, part, by_lang=part is ranks.within) for part in ranks),
        )
    queries, passages = vector_pair(query_vectors, passage_vectors, rs.num_queries, rs.num_texts)
    # Columns of the scores are passages by language; stable, so that inside a language they keep the order of
    # rows, which breaks ties.
    columns = np.argsort(rs.passage_langs, kind="stable")
    column_of = np.empty_like(columns)
    column_of[columns] = np.arange(len(columns))
    bounds = np.searchsorted(rs.passage_langs[columns], np.arange(rs.num_langs + 1))
    texts, starts = columns, None
    if rs.text_passages is not None:
        texts = np.argsort(column_of[rs.text_passages], kind="stable")
        starts = np.searchsorted(column_of[rs.text_passages][texts], np.arange(rs.num_passages))
    if (np.diff(texts) < 0).any():
        passages = passages[texts]
    rows: NDArray[np.int32] = columns.astype(np.int32)  # half the traffic of int64 where all is tied
    copies = find_copies(passages)
    queries_of, gold, langs = rs.gold_queries, column_of[rs.gold_passages], rs.gold_langs
    within, pooled = np.empty((2, len(gold)), dtype=np.int64)
    block = max(1, BLOCK_BYTES // (4 * rs.num_texts))

    def rank(first: int, scores: VectorArray) -> None:
        if starts is not None:
            scores = np.maximum.reduceat(scores, starts, axis=1)
        pairs = slice(rs.gold_offsets[first], rs.gold_offsets[first + len(scores)])
        within[pairs], pooled[pairs] = _block_ranks(
            scores, queries_of[pairs] - first, gold[pairs], langs[pairs], bounds, rows
        )

    tile = max(16, tile_bytes // 2 // (4 * rs.num_texts))
    held = np.empty((2, min(tile, rs.num_queries), rs.num_texts), dtype=np.float32)
    with ThreadPoolExecutor(num_threads or os.cpu_count()) as threads:
        ranked: list[Future[None]] = []
        for number, start in enumerate(range(0, rs.num_queries, tile)):
            part = queries[start : start + tile]
            # Threads rank one tile while BLAS fills the other: in turns, the threads of BLAS, which wait busily
            # for its next call, took as much time from these as a second core gave.
            scores = np.matmul(part, passages.T, out=held[number % 2, : len(part)])
            copies.level(scores)
            _finish(ranked)
            ranked = [threads.submit(rank, start + at, scores[at : at + block]) for at in range(0, len(part), block)]
        _finish(ranked)
    return GoldRanks(within, pooled)


def _finish(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result()


def _block_ranks(
    scores: VectorArray, row: IntArray, gold: IntArray, lang: IntArray, bounds: IntArray, rows: NDArray[np.int32]
) -> tuple[IntArray, IntArray]:
    """(within, pooled) ranks of pairs [g]: `row` (ascending) and column `gold` of `scores` [n, Nd], and `lang`.

    Language l has the columns from `bounds[l]` to `bounds[l + 1]`; `rows` [Nd] breaks ties.
    """
    value = scores[row, gold]
    pooled, tied = _num_ahead(scores, row, value)
    within = pooled.copy()
    if len(bounds) > 2:
        by_lang = np.argsort(lang, kind="stable")  # stable: inside a language, rows stay in ascending order
        cuts = np.searchsorted(lang[by_lang], np.arange(len(bounds)))
        for (low, high), (first, last) in zip(pairwise(bounds), pairwise(cuts), strict=True):
            if first < last:
                pairs = by_lang[first:last]
                within[pairs] = _num_above(scores[:, low:high], row[pairs], value[pairs])
    for pair in np.flatnonzero(tied):
        before = (scores[row[pair]] == value[pair]) & (rows < rows[gold[pair]])
        low, high = bounds[lang[pair]], bounds[lang[pair] + 1]
        pooled[pair] += np.count_nonzero(before)
        within[pair] += np.count_nonzero(before[low:high])
    return within + 1, pooled + 1


def _num_above(scores: VectorArray, row: IntArray, value: VectorArray) -> IntArray:
    """The first of what `_num_ahead` gives, [g]; short where each row has one value, as in sets of parallel answers."""
    if len(row) == len(scores) and (np.diff(row) == 1).all():
        return _num_true(scores > value[:, None])
    return _num_ahead(scores, row, value)[0]


def _num_ahead(scores: VectorArray, row: IntArray, value: VectorArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """How many scores in `row` (ascending) of `scores` [n, m] are above `value`, and whether others equal it, [g].

    Every value is among the scores of its row.
    """
    count = np.bincount(row, minlength=len(scores))
    first = np.cumsum(count) - count
    ahead, tied = np.empty(len(row), dtype=np.int64), np.empty(len(row), dtype=np.bool_)
    compared = np.where(count > MAX_COMPARED, 0, count)
    for number in range(compared.max()):  # the first value of each row, then the second, ...
        some = np.flatnonzero(compared > number)
        pairs = first[some] + number
        part, against = _rows(scores, some), value[pairs, None]
        ahead[pairs] = _num_true(part > against)
        tied[pairs] = _num_true(part >= against) > ahead[pairs] + 1  # a passage is level with itself
    some = np.flatnonzero(count > MAX_COMPARED)
    if len(some):
        ordered = np.sort(_rows(scores, some), axis=1)
        for levels, low, high in zip(ordered, first[some], (first + count)[some], strict=True):
            place = levels.searchsorted(value[low:high], side="right")
            ahead[low:high] = len(levels) - place
            # The value is at place - 1. Below the lowest is no other: place - 2 is then the highest.
            tied[low:high] = levels[place - 2] == value[low:high]
    return ahead, tied


def _rows(scores: VectorArray, some: IntArray) -> VectorArray:
    return scores if len(some) == len(scores) else scores[some]


def _num_true(hits: NDArray[np.bool_]) -> IntArray:
    """Hits of each row; summed as bytes because `count_nonzero` along an axis takes up to twice as long."""
    counts: IntArray = np.add.reduce(hits.view(np.uint8), axis=1, dtype=np.uint32).astype(np.int64)
    return counts
