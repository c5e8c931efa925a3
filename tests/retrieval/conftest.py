"""Small retrieval sets and brute-force rankings that the tests of this folder share."""

from pathlib import Path

import numpy as np
import pytest

from hbt_ray.retrieval.scoring.rank_metrics import RankMetrics, standard_metrics
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "xquad_r"


@pytest.fixture(scope="session")
def xquad_r() -> Path:
    """The directory of XQuAD-R, with `eval` (derived form) and `original` (upstream form)."""
    if not (DATA / "eval").is_dir():
        pytest.skip(f"XQuAD-R is not at {DATA}")
    return DATA


def random_set(rng, num_langs=3, num_queries=12, num_passages=20, max_gold=5, grouped=False) -> RetrievalSet:
    """Random languages (in any order unless `grouped`) and random gold, 1 to `max_gold` a query."""
    passage_langs = rng.integers(0, num_langs, num_passages)
    gold = [
        rng.choice(num_passages, rng.integers(1, min(max_gold, num_passages) + 1), replace=False)
        for _ in range(num_queries)
    ]
    return RetrievalSet(
        name="random",
        langs=tuple(f"l{number}" for number in range(num_langs)),
        query_langs=rng.integers(0, num_langs, num_queries),
        query_keys=np.arange(num_queries),
        passage_langs=np.sort(passage_langs) if grouped else passage_langs,
        passage_ids=np.arange(num_passages),
        gold_offsets=np.cumsum([0, *map(len, gold)]),
        gold_passages=np.concatenate(gold),
    )


def tied_vectors(rng, num_rows, dim=4, levels=2):
    """Small integers: inner products are exact in float32, and many are equal."""
    return rng.integers(-levels, levels + 1, (num_rows, dim)).astype(np.float32)


def brute_ranking(scores, rows):
    """`rows` by descending score [Nd], equal scores by ascending row."""
    rows = np.asarray(rows)
    return rows[np.lexsort((rows, -scores[rows]))]


def brute_ranks(rs: RetrievalSet, queries, passages):
    """(within, pooled) ranks of every gold pair from full sorted rankings, one pair at a time, in float64."""
    scores = queries.astype(np.float64) @ passages.astype(np.float64).T
    within, pooled = [], []
    for query in range(rs.num_queries):
        for passage in rs.gold_passages[rs.gold_offsets[query] : rs.gold_offsets[query + 1]]:
            same = np.flatnonzero(rs.passage_langs == rs.passage_langs[passage])
            for rows, ranks in ((same, within), (np.arange(rs.num_passages), pooled)):
                ranks.append(1 + int(np.flatnonzero(brute_ranking(scores[query], rows) == passage)[0]))
    return np.array(within), np.array(pooled)


def rank_metrics(rs: RetrievalSet, queries, passages) -> RankMetrics:
    """`standard_metrics` from exact ranks."""
    return standard_metrics(rs, *gold_ranks(rs, queries, passages))
