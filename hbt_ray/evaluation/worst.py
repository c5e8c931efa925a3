"""The queries that a model answers worst, with their texts, for a person to read."""

import unicodedata
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray, IntArray, VectorArray, vector_pair
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.retrieval.scoring.search import search_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

NUM_TOP = 3
"""Retrieved passages that are shown of a query."""
NUM_GOLD = 3
"""Best-ranked relevant passages that are shown of a query, beside the best one in its own language."""
TEXT_CHARS, QUESTION_CHARS = 200, 400
"""Characters of a passage, and of a question, that are shown."""


@dataclass(frozen=True, kw_only=True)
class FoundPassage:
    """A passage in the pooled ranking of a query."""

    passage_id: str
    lang: str
    rank: int
    """Place in the pool of all languages, from 1."""
    score: float
    """Inner product with the query; of a passage of several texts, its best one's."""
    relevant: bool
    text: str | None
    """Beginning of the text, or of the best matching text of a passage that has several; None without texts."""


@dataclass(frozen=True, kw_only=True)
class WorstQuery:
    """A query with a low average precision in the pool: what it should have found, and what it found."""

    key: str
    """Question id, which parallel queries share."""
    lang: str
    text: str | None
    """The question, or its beginning; None for a set without texts."""
    average_precision: float
    """In the pool of all languages, 0 to 1."""
    num_gold: int
    """Relevant passages in all languages."""
    last_rank: int
    """Pooled rank of the last of them."""
    gold: tuple[FoundPassage, ...]
    """The best ranked of them, and the best ranked in the query's own language, by rank."""
    top: tuple[FoundPassage, ...]
    """The first passages of the pool."""


def worst_queries(
    retrieval_set: RetrievalSet,
    query_vectors: NDArray[np.floating],
    passage_vectors: NDArray[np.floating],
    scores: Scores,
    *,
    num: int = 20,
) -> tuple[WorstQuery, ...]:
    """The `num` worst queries by average precision in the pool, lowest first, spread over languages and questions.

    The languages take turns, the one of lowest pooled mAP first; each gives the worst query that is left to it,
    passing over questions that another language has shown until every question was. So the list holds about
    num / L queries of each of L languages (of more than `num` languages, the lowest ones), and not one hard
    question in all of them. Where texts are missing they are None. Only these queries are searched again.

    `query_vectors` [Nq, dim] and `passage_vectors` [num_texts, dim] are those that `scores` were made from.
    Raises EvaluationError where the scores are of another set, where shapes do not match, and for `num` below 1.
    """
    rs = retrieval_set
    queries, passages = vector_pair(query_vectors, passage_vectors, rs.num_queries, rs.num_texts)
    if num < 1:
        raise EvaluationError(f"num of worst queries is {num}; ask for 1 or more.")
    if scores.langs != rs.langs or not np.array_equal(scores.per_query.keys, rs.query_keys):
        raise EvaluationError(f"the scores of {scores.name!r} are not of set {rs.name!r}; score this set first.")
    # A query all of whose answers are lost fails whatever the model does.
    answered = np.where(np.diff(rs.gold_offsets) > 0, scores.per_query.pool_ap, np.nan)
    rows = choose(answered, rs.query_langs, rs.query_keys, scores.pool_map, num)
    few = _only(rs, rows)
    top = search_set(few, queries[rows], passages, NUM_TOP)
    ranks = gold_ranks(few, queries[rows], passages).pooled
    worst = []
    for at, row in enumerate(rows):
        pairs = slice(few.gold_offsets[at], few.gold_offsets[at + 1])
        gold, gold_rank = few.gold_passages[pairs], ranks[pairs]
        by_rank = np.argsort(gold_rank)
        same_lang = [number for number in by_rank if rs.passage_langs[gold[number]] == rs.query_langs[row]]
        shown = sorted({*by_rank[:NUM_GOLD], *same_lang[:1]}, key=lambda number: gold_rank[number])
        worst.append(
            WorstQuery(
                key=str(rs.query_keys[row]),
                lang=rs.langs[rs.query_langs[row]],
                text=None if rs.queries is None else shortened(rs.queries[row], QUESTION_CHARS),
                average_precision=float(scores.per_query.pool_ap[row]),
                num_gold=len(gold),
                last_rank=int(gold_rank.max()),
                gold=tuple(
                    _passage(rs, int(gold[number]), int(gold_rank[number]), True, queries[row], passages)
                    for number in shown
                ),
                top=tuple(
                    _passage(rs, int(passage), rank, bool(passage in gold), queries[row], passages)
                    for rank, passage in enumerate(top.ids[at], start=1)
                    if passage >= 0
                ),
            )
        )
    return tuple(worst)


def choose(
    average_precision: FloatArray, langs: IntArray, keys: NDArray[np.generic], lang_scores: FloatArray, num: int
) -> IntArray:
    """Rows of the `num` worst queries by the rule of `worst_queries`, by ascending average precision.

    `average_precision`, `langs` and `keys` are [Nq], `lang_scores` [L]. Queries without a value are passed over.
    """
    order = np.lexsort((np.arange(len(langs)), average_precision))
    order = order[~np.isnan(average_precision[order])]
    waiting = {int(lang): [int(row) for row in order[langs[order] == lang]] for lang in np.argsort(lang_scores)}
    chosen: list[int] = []
    shown: set[object] = set()
    num_idle = 0  # languages in a row that had nothing new to show
    for rows in cycle(waiting.values()):
        if len(chosen) == min(num, len(order)):
            break
        row = next((row for row in rows if keys[row] not in shown), None)
        if row is None:
            num_idle += 1
            if num_idle == len(waiting):
                shown.clear()
                num_idle = 0
            continue
        num_idle = 0
        rows.remove(row)
        chosen.append(row)
        shown.add(keys[row])
    return np.array(sorted(chosen, key=lambda row: (average_precision[row], row)), dtype=np.int64)


def shortened(text: str, num_chars: int = TEXT_CHARS) -> str:
    """`text` on one line, cut after a word to at most `num_chars` characters and an ellipsis.

    Where no blank is near, as in scripts that write none, it is cut between characters, never between a
    letter and its marks.
    """
    line = " ".join(text.split())
    if len(line) <= num_chars:
        return line
    end = line.rfind(" ", num_chars * 3 // 4, num_chars + 1)
    if end < 0:
        end = num_chars
        # Joiners (Cf) and marks (M*) belong to the letter before them, a letter after a joiner as well.
        while end > 1 and (_joins(line[end]) or unicodedata.category(line[end - 1]) == "Cf"):
            end -= 1
    return f"{line[:end]}…"


def _joins(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("M") or category == "Cf"


def _only(rs: RetrievalSet, rows: IntArray) -> RetrievalSet:
    """The set with the queries `rows` alone, in this order, and all its passages."""
    gold = [slice(rs.gold_offsets[row], rs.gold_offsets[row + 1]) for row in rows]
    own = [np.flatnonzero(rs.own_queries == row) for row in rows]
    return replace(
        rs,
        query_langs=rs.query_langs[rows],
        query_keys=rs.query_keys[rows],
        gold_offsets=np.cumsum([0, *(pairs.stop - pairs.start for pairs in gold)]),
        gold_passages=np.concatenate([rs.gold_passages[pairs] for pairs in gold]),
        gold_grades=None,
        lost_queries=np.empty(0, dtype=np.int64),
        lost_grades=np.empty(0, dtype=np.int64),
        own_queries=np.concatenate([np.full(len(pairs), at) for at, pairs in enumerate(own)]),
        own_passages=np.concatenate([rs.own_passages[pairs] for pairs in own]),
        queries=None,
        passages=None,
    )


def _passage(
    rs: RetrievalSet, row: int, rank: int, relevant: bool, query: VectorArray, passages: VectorArray
) -> FoundPassage:
    first, last = row, row + 1
    if rs.text_passages is not None:
        first, last = np.searchsorted(rs.text_passages, [row, row + 1])
    score = passages[first:last] @ query
    best = int(np.argmax(score))
    return FoundPassage(
        passage_id=str(rs.passage_ids[row]),
        lang=rs.langs[rs.passage_langs[row]],
        rank=rank,
        score=float(score[best]),
        relevant=relevant,
        text=None if rs.passages is None else shortened(rs.passages[first + best]),
    )
