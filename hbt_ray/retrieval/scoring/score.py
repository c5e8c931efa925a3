"""All scores of one model on one retrieval set: every language pair, the pool, and language bias."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray, IntArray
from hbt_ray.retrieval.scoring.bias import LanguageShare, language_share, parallel_ranks, worst_lang, worst_pair
from hbt_ray.retrieval.scoring.metrics import average_precision, group_mean, nan_mean, recall
from hbt_ray.retrieval.scoring.peer import peer
from hbt_ray.retrieval.scoring.rank_metrics import RankMetrics, standard_metrics
from hbt_ray.retrieval.scoring.ranks import GoldRanks, gold_ranks
from hbt_ray.retrieval.scoring.search import search_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.storage import plain

POOL_CUTOFF = 10
"""k of the pooled recall, R@10 (arXiv 2408.10536)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PerQuery:
    """Scores of every query, in the order of the set, for paired tests of models; NaN where undefined."""

    keys: NDArray[Any]
    """Question id that parallel queries share, [Nq]: the unit to resample."""
    langs: IntArray
    """Query language, [Nq], an index into `Scores.langs`."""
    mono_ap: FloatArray
    """Average precision among the passages of the query's own language, [Nq]."""
    cross_ap: FloatArray
    """Mean over the other languages of the average precision among that language's passages, [Nq]."""
    pool_ap: FloatArray
    """Average precision in the pool of all languages, [Nq]."""
    pool_recall: FloatArray
    """Recall among the first 10 of the pool, [Nq]."""
    rank_distance: FloatArray
    """Highest minus lowest pooled rank of the parallel answers, [Nq]."""
    peer: FloatArray
    """PEER: mean p value of equal ranks of languages, [Nq]."""
    pair_ap: FloatArray
    """Average precision among the passages of each language, [Nq, L]."""
    pair_r1: FloatArray
    """Recall at 1 among the passages of each language, [Nq, L]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Scores of one model on one set, 0 to 1 unless a unit is given; L languages, NaN if nothing counts."""

    name: str
    langs: tuple[str, ...]
    num_queries: IntArray
    """Queries of each language, [L]."""
    num_passages: IntArray
    """Passages of each language, [L]."""
    map_matrix: FloatArray
    """mAP, query language x passage language, [L, L]; only queries with an answer in that language count."""
    r1_matrix: FloatArray
    """R@1 (recall), query language x passage language, [L, L]."""
    pool_map: FloatArray
    """mAP in the pool of all languages per query language, [L]."""
    pool_r10: FloatArray
    """R@10 (recall) in the pool per query language, [L]."""
    rank_distance: FloatArray
    """Rank distance per query language, in places, [L]."""
    worst_rank: FloatArray
    """Mean pooled rank of the last of the parallel answers per query language, [L]."""
    num_unparallel: IntArray
    """Queries of each language left out of the two above: their answer is in one language only, [L]."""
    peer: FloatArray
    """PEER per query language, 0 (some language is preferred) to 1, [L]; see `hbt_ray.retrieval.scoring.peer`."""
    num_without_peer: IntArray
    """Queries of each language that PEER cannot test: no two languages of which one has two answers, [L]."""
    standard: RankMetrics
    """nDCG@10, R@100 and MRR@10 in the query's own language and in the pool."""
    share: LanguageShare | None
    """Languages in the top k of the pool against those of the relevant passages; None if k was 0."""
    top_k: int
    """The k of `share`."""
    per_query: PerQuery

    @property
    def langs_without_rank_distance(self) -> tuple[str, ...]:
        """Languages none of whose queries has parallel answers; the mean rank distance leaves them out."""
        return tuple(lang for lang, value in zip(self.langs, self.rank_distance, strict=True) if np.isnan(value))

    def headline(self) -> dict[str, float]:
        """The numbers to compare models by, all macro means (over languages, or over ordered pairs).

        mono_*: query and passage language are one (the diagonal). cross_*: ordered pairs of two languages.
        pool_*: the pool of all languages. rank_distance: in places, lower is better. worst_lang_map: lowest
        pooled mAP of a query language. worst_pair_map: lowest mAP of an ordered pair. NaN where undefined.
        """
        standard = self.standard.means()
        lang, pair = worst_lang(self.pool_map), worst_pair(self.map_matrix)
        cross = ~np.eye(len(self.langs), dtype=bool)
        return {
            "mono_map": nan_mean(np.diagonal(self.map_matrix)),
            "cross_map": nan_mean(self.map_matrix[cross]),
            "pool_map": nan_mean(self.pool_map),
            "mono_r1": nan_mean(np.diagonal(self.r1_matrix)),
            "cross_r1": nan_mean(self.r1_matrix[cross]),
            "pool_r10": nan_mean(self.pool_r10),
            "mono_ndcg10": standard["mono_ndcg10"],
            "mono_r100": standard["mono_r100"],
            "pool_ndcg10": standard["pool_ndcg10"],
            "rank_distance": nan_mean(self.rank_distance),
            "worst_lang_map": float("nan") if lang is None else float(self.pool_map[lang]),
            "worst_pair_map": float("nan") if pair is None else float(self.map_matrix[pair]),
        }

    def mean_shares(self) -> tuple[FloatArray, FloatArray]:
        """Share of each language among relevant passages and in the top k, means over query languages, [L] each."""
        assert self.share is not None
        asked = ~np.isnan(self.share.found[:, 0])
        return self.share.relevant[asked].mean(axis=0), self.share.found[asked].mean(axis=0)

    def recall_ceiling(self, cutoff: int) -> float:
        """What recall at `cutoff` in the pool can be at most, as answers in more languages than `cutoff` do not fit.

        A bound from the number of languages that answer each query: 1 where none has more than `cutoff`.
        """
        num_langs = (~np.isnan(self.per_query.pair_ap)).sum(axis=1)
        return float(np.minimum(1.0, cutoff / np.maximum(num_langs, 1)).mean())

    def to_json(self) -> dict[str, Any]:
        """Everything but the per-query scores in plain types that `json.dump` writes; NaN becomes None."""
        lang, pair = worst_lang(self.pool_map), worst_pair(self.map_matrix)
        share = self.share and {"top_k": self.top_k, **self.share._asdict(), "excess": self.share.excess}
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        tree: dict[str, Any] = plain(
            {
                "name": self.name,
                "langs": self.langs,
                "headline": self.headline(),
                "worst_lang": None if lang is None else self.langs[lang],
                "worst_pair": None if pair is None else [self.langs[side] for side in pair],
                **arrays,
                "standard": self.standard.by_lang(),
                "langs_without_rank_distance": self.langs_without_rank_distance,
                "language_share": share,
            }
        )
        return tree


def score(
    retrieval_set: RetrievalSet,
    query_vectors: NDArray[Any],
    passage_vectors: NDArray[Any],
    top_k: int = 10,
) -> Scores:
    """Score a model by its `query_vectors` [Nq, dim] and `passage_vectors` [Nd, dim], by inner product.

    Pass unit vectors for cosine similarity. Of a set whose passages have several texts (`text_passages`), the
    passage vectors are those of the texts. `top_k` is the depth of the language share; 0 leaves out the
    share and its search. Raises EvaluationError where rows or dimensions do not match, and for NaN vectors.
    """
    ranks = gold_ranks(retrieval_set, query_vectors, passage_vectors)
    top = search_set(retrieval_set, query_vectors, passage_vectors, top_k).ids if top_k else None
    return score_ranks(retrieval_set, ranks, top)


def score_ranks(retrieval_set: RetrievalSet, ranks: GoldRanks, top_ids: IntArray | None) -> Scores:
    """`score` from the ranks of the relevant passages, and the first passages [Nq, k] of the pool for the share."""
    rs = retrieval_set
    num_langs, num_queries = rs.num_langs, rs.num_queries
    within, pooled = ranks
    gold_queries = rs.gold_queries
    # One topic for each query and passage language: its AP is NaN where the query has no answer there.
    topics, num_topics = gold_queries * num_langs + rs.gold_langs, num_queries * num_langs
    # What the corpus lacks counts as never found: in the pool, and in the query's own language.
    relevant = np.bincount(gold_queries, minlength=num_queries) + rs.num_lost
    own_topics = np.arange(num_queries) * num_langs + rs.query_langs
    of_topic = np.bincount(topics, minlength=num_topics)
    of_topic[own_topics] += rs.num_lost
    pair_ap = average_precision(within, topics, num_topics, of_topic).reshape(num_queries, num_langs)
    pair_r1 = recall(within, topics, num_topics, 1, of_topic).reshape(num_queries, num_langs)
    pool_ap = average_precision(pooled, gold_queries, num_queries, relevant)
    pool_recall = recall(pooled, gold_queries, num_queries, POOL_CUTOFF, relevant)
    parallel = parallel_ranks(rs, pooled)
    fairness = peer(rs, pooled)
    same_lang = np.arange(num_langs) == rs.query_langs[:, None]

    def by_lang(values: FloatArray) -> FloatArray:
        return group_mean(values, rs.query_langs, num_langs)

    unparallel = np.isnan(parallel.distance)
    return Scores(
        name=rs.name,
        langs=rs.langs,
        num_queries=np.bincount(rs.query_langs, minlength=num_langs),
        num_passages=np.bincount(rs.passage_langs, minlength=num_langs),
        map_matrix=np.stack([by_lang(column) for column in pair_ap.T], axis=1),
        r1_matrix=np.stack([by_lang(column) for column in pair_r1.T], axis=1),
        pool_map=by_lang(pool_ap),
        pool_r10=by_lang(pool_recall),
        rank_distance=by_lang(parallel.distance),
        worst_rank=by_lang(parallel.worst),
        num_unparallel=np.bincount(rs.query_langs[unparallel], minlength=num_langs),
        peer=by_lang(fairness),
        num_without_peer=np.bincount(rs.query_langs[np.isnan(fairness)], minlength=num_langs),
        standard=standard_metrics(rs, within, pooled),
        share=None if top_ids is None else language_share(rs, top_ids),
        top_k=0 if top_ids is None else top_ids.shape[1],
        per_query=PerQuery(
            keys=rs.query_keys,
            langs=rs.query_langs,
            mono_ap=np.take_along_axis(pair_ap, rs.query_langs[:, None], axis=1)[:, 0],
            cross_ap=_row_means(np.where(same_lang, np.nan, pair_ap)),
            pool_ap=pool_ap,
            pool_recall=pool_recall,
            rank_distance=parallel.distance,
            peer=fairness,
            pair_ap=pair_ap,
            pair_r1=pair_r1,
        ),
    )


def _row_means(values: FloatArray) -> FloatArray:
    rows = np.repeat(np.arange(len(values)), values.shape[1])
    return group_mean(values.ravel(), rows, len(values))
