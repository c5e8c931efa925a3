"""The numbers that retrieval benchmarks publish: nDCG@10, R@100 and MRR@10."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.retrieval.scoring.metrics import group_mean, nan_mean, ndcg, recall, reciprocal_rank
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

CUTOFFS = {"ndcg": 10, "recall": 100, "mrr": 10}
"""k of each metric: nDCG@10 and R@100 are MIRACL's, nDCG@10 BEIR's, MRR@10 that of MS MARCO."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RankMetrics:
    """Per query, 0 to 1, [Nq]; NaN where a query has no answer. `mono_*` is within the query's own language."""

    query_langs: IntArray
    """Language of each query, [Nq], an index into the languages of the set."""
    num_langs: int
    mono_ndcg: FloatArray
    mono_recall: FloatArray
    mono_mrr: FloatArray
    pool_ndcg: FloatArray
    pool_recall: FloatArray
    pool_mrr: FloatArray

    def by_lang(self) -> dict[str, FloatArray]:
        """Means over the queries of each language, [L], by name, such as `mono_ndcg10` and `pool_r100`."""
        short = {"ndcg": "ndcg", "recall": "r", "mrr": "mrr"}
        return {
            f"{where}_{short[name]}{k}": group_mean(getattr(self, f"{where}_{name}"), self.query_langs, self.num_langs)
            for where in ("mono", "pool")
            for name, k in CUTOFFS.items()
        }

    def means(self) -> dict[str, float]:
        """Macro means of `by_lang` over the languages that have a value."""
        return {name: nan_mean(values) for name, values in self.by_lang().items()}


def standard_metrics(retrieval_set: RetrievalSet, within: IntArray, pooled: IntArray) -> RankMetrics:
    """nDCG, recall and MRR within the language and in the pool, from the ranks [G] of `gold_ranks`.

    nDCG uses the grades of the set, the others count any grade.
    """
    rs = retrieval_set
    queries, grades = rs.gold_queries, rs.grades
    same_lang = rs.gold_langs == rs.query_langs[queries]
    every = np.ones_like(same_lang)

    def measure(ranks: IntArray, kept: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray, FloatArray]:
        # What the corpus lacks is relevant as well, at a rank that no cut-off reaches.
        beyond = np.full(len(rs.lost_queries), np.iinfo(np.int64).max)
        ranks, topics = np.concatenate([ranks[kept], beyond]), np.concatenate([queries[kept], rs.lost_queries])
        gains = np.concatenate([grades[kept], rs.lost_grades])
        return (
            ndcg(ranks, topics, rs.num_queries, CUTOFFS["ndcg"], gains),
            recall(ranks, topics, rs.num_queries, CUTOFFS["recall"]),
            reciprocal_rank(ranks, topics, rs.num_queries, CUTOFFS["mrr"]),
        )

    mono, pool = measure(within, same_lang), measure(pooled, every)
    return RankMetrics(
        query_langs=rs.query_langs,
        num_langs=rs.num_langs,
        mono_ndcg=mono[0],
        mono_recall=mono[1],
        mono_mrr=mono[2],
        pool_ndcg=pool[0],
        pool_recall=pool[1],
        pool_mrr=pool[2],
    )
