"""nDCG@10, R@100 and MRR@10 against ir-measures, on random graded sets and on real sets."""

import re
import zlib

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, R, nDCG

from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.search import search, search_set
from hbt_ray.retrieval.sets.catalog import load_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from tests.retrieval.conftest import brute_ranking, random_set, rank_metrics, tied_vectors

TOLERANCE = 1e-9
MEASURES = {"ndcg": nDCG @ 10, "recall": R @ 100, "mrr": RR @ 10}


def graded_set(rng, num_langs=3, num_queries=60, num_passages=150):
    """A random set with grades 1 to 3, of which the first query has no answer in its own language."""
    rs = random_set(rng, num_langs, num_queries, num_passages, max_gold=30)
    return RetrievalSet(**{**vars(rs), "gold_grades": rng.integers(1, 4, len(rs.gold_passages))})


def reference(rs, rankings):
    """ir-measures by query [Nq] from the rows that each query ranks, best first; NaN without an answer there.

    The judgements are those of the passages in the pool that the ranking is of: `rankings` gives
    (ranked rows, rows of the pool) for a query.
    """
    qrels, run = {}, {}
    for query in range(rs.num_queries):
        rows, pool = rankings(query)
        pairs = np.arange(rs.gold_offsets[query], rs.gold_offsets[query + 1])
        pairs = pairs[np.isin(rs.gold_passages[pairs], pool)]
        if len(pairs):
            qrels[str(query)] = {str(rs.gold_passages[at]): int(rs.grades[at]) for at in pairs}
            run[str(query)] = {str(row): float(-place) for place, row in enumerate(rows)}
    values = {name: np.full(rs.num_queries, np.nan) for name in MEASURES}
    names = {measure: name for name, measure in MEASURES.items()}
    for line in ir_measures.iter_calc(list(MEASURES.values()), qrels, run):
        values[names[line.measure]][int(line.query_id)] = line.value
    return values


def assert_equal(got, want, where):
    for name, values in want.items():
        np.testing.assert_allclose(getattr(got, f"{where}_{name}"), values, rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_random_graded_sets_with_ties(seed):
    rng = np.random.default_rng(seed)
    rs = graded_set(rng)
    queries, passages = tied_vectors(rng, 60), tied_vectors(rng, 150)
    scores, every = queries @ passages.T, np.arange(150)
    got = rank_metrics(rs, queries, passages)

    def own(query):
        rows = np.flatnonzero(rs.passage_langs == rs.query_langs[query])
        return brute_ranking(scores[query], rows), rows

    mono = reference(rs, own)
    assert_equal(got, mono, "mono")
    assert_equal(got, reference(rs, lambda query: (brute_ranking(scores[query], every), every)), "pool")
    means = [np.nanmean(mono["ndcg"][rs.query_langs == lang]) for lang in range(3)]
    np.testing.assert_allclose(got.by_lang()["mono_ndcg10"], means)
    assert got.means()["mono_ndcg10"] == pytest.approx(np.mean(means))
    standard = score(rs, queries, passages).to_json()["standard"]
    assert set(standard) == {f"{w}_{m}" for w in ("mono", "pool") for m in ("ndcg10", "r100", "mrr10")}
    np.testing.assert_allclose(standard["mono_ndcg10"], means)


def hashed(texts, dim=512):
    """A bag of hashed words and character pairs [n, dim], in whole numbers, so that products are exact in float32.

    Of length about 64: a product is at most 4,096, far below 2^24, and many products are equal.
    """
    vectors = np.zeros((len(texts), dim))
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.lower()):
            for part in {word, *(word[at : at + 2] for at in range(len(word) - 1))}:
                code = zlib.crc32(part.encode())
                vectors[row, code % dim] += len(part) * (1 if code >> 31 else -1)
    return np.round(64 * vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)).astype(np.float32)


@pytest.mark.data
@pytest.mark.parametrize(("name", "langs"), [("miracl:miracl_mini", ("en", "sw", "ja")), ("beir:scifact", ("en",))])
def test_real_sets(real_data, name, langs):
    kind, folder = name.split(":")
    rs = load_set(f"{kind}:{real_data / 'ir_small' / folder}", langs)
    queries, passages = hashed(rs.queries), hashed(rs.passages)
    got = rank_metrics(rs, queries, passages)
    pooled = search(queries, passages, 200).ids  # run files as a search writes them
    assert_equal(got, reference(rs, lambda query: (pooled[query], np.arange(rs.num_passages))), "pool")
    runs = {}
    for lang in range(len(langs)):
        rows = np.flatnonzero(rs.passage_langs == lang)
        asked = np.flatnonzero(rs.query_langs == lang)
        found = rows[search(queries[asked], passages[rows], 200).ids]
        runs |= {query: (ranking, rows) for query, ranking in zip(asked, found, strict=True)}
    assert_equal(got, reference(rs, runs.__getitem__), "mono")
    assert all(0.05 < value < 1 for value in got.means().values())  # the vectors find something, not all


@pytest.mark.data
def test_a_document_scores_as_its_best_window(real_data):
    rs = load_set(f"longdoc:{real_data / 'ir_small' / 'fairytaleqa_longdoc_en'}?split=val&words=300&overlap=60", ["en"])
    queries, texts = hashed(rs.queries), hashed(rs.passages)
    best = np.full((rs.num_queries, rs.num_passages), -np.inf, dtype=np.float32)
    np.maximum.at(best.T, rs.text_passages, (queries @ texts.T).T)
    rankings = [brute_ranking(row, np.arange(rs.num_passages)) for row in best]
    want = reference(rs, lambda query: (rankings[query], np.arange(rs.num_passages)))
    assert_equal(rank_metrics(rs, queries, texts), want, "pool")
    np.testing.assert_array_equal(search_set(rs, queries, texts, 20).ids, np.stack(rankings)[:, :20])
