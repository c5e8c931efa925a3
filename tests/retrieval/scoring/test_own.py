"""Queries that are passages themselves: scores are those of a pool without them."""

import json
from dataclasses import replace

import ir_measures
import numpy as np
import pytest

from hbt_ray.evaluation.worst import worst_queries
from hbt_ray.retrieval.scoring.lists import listed_ranks
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.search import search, search_set
from hbt_ray.retrieval.sets.catalog import load_set
from hbt_ray.retrieval.sets.set_digest import set_digest
from tests.retrieval.conftest import brute_ranking, random_set, tied_vectors


def with_some_own(rng, rs):
    """The set with up to three own passages, none of them relevant, for some of its queries."""
    pairs = []
    for query in range(0, rs.num_queries, 2):
        gold = rs.gold_passages[rs.gold_offsets[query] : rs.gold_offsets[query + 1]]
        free = np.setdiff1d(np.arange(rs.num_passages), gold)
        pairs += [(query, int(row)) for row in np.sort(rng.choice(free, rng.integers(1, 4), replace=False))]
    queries, passages = np.array(pairs).T
    return replace(rs, own_queries=queries, own_passages=passages)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("windows", [False, True])
def test_ranks_and_lists_are_those_of_a_pool_without_own_passages(seed, windows):
    rng = np.random.default_rng(seed)
    rs = with_some_own(rng, random_set(rng))
    parts = np.sort(np.r_[np.arange(rs.num_passages), rng.integers(0, rs.num_passages, 9)]) if windows else None
    rs = replace(rs, text_passages=parts)
    queries, texts = tied_vectors(rng, rs.num_queries), tied_vectors(rng, rs.num_texts)
    products = queries @ texts.T
    owner = np.arange(rs.num_passages) if parts is None else parts
    scores = np.stack([products[:, owner == row].max(axis=1) for row in range(rs.num_passages)], axis=1)
    within, pooled, lists = [], [], []
    for query in range(rs.num_queries):
        pool = np.setdiff1d(np.arange(rs.num_passages), rs.own_passages[rs.own_queries == query])
        lists.append(brute_ranking(scores[query], pool)[:7])
        for passage in rs.gold_passages[rs.gold_offsets[query] : rs.gold_offsets[query + 1]]:
            same = pool[rs.passage_langs[pool] == rs.passage_langs[passage]]
            for rows, ranks in ((same, within), (pool, pooled)):
                ranks.append(1 + int(np.flatnonzero(brute_ranking(scores[query], rows) == passage)[0]))
    ranks = gold_ranks(rs, queries, texts)
    assert (ranks.within.tolist(), ranks.pooled.tolist()) == (within, pooled)
    top = search_set(rs, queries, texts, 7)
    np.testing.assert_array_equal(top.ids, lists)
    np.testing.assert_array_equal(top.scores, np.take_along_axis(scores, top.ids, axis=1))
    listed = listed_ranks(rs, queries, texts, rs.num_passages, lambda what, q, p, k: search(q, p, k))
    assert (listed.ranks.within.tolist(), listed.ranks.pooled.tolist()) == (within, pooled)
    np.testing.assert_array_equal(listed.top_ids[:, :7], lists)


def test_a_list_of_the_whole_pool_ends_early():
    rng = np.random.default_rng(0)
    rs = with_some_own(rng, random_set(rng, num_passages=9, max_gold=2))
    top = search_set(rs, tied_vectors(rng, rs.num_queries), tied_vectors(rng, 9), 9)
    np.testing.assert_array_equal((top.ids < 0).sum(axis=1), np.bincount(rs.own_queries, minlength=rs.num_queries))
    assert ((np.diff(top.ids < 0, axis=1)) >= 0).all()


def write(directory, docs, queries, qrels, lang=""):
    directory.mkdir(exist_ok=True)
    for side, rows in (("corpus", docs), ("queries", queries)):
        lines = (json.dumps({"_id": name, "text": text, **more}) + "\n" for name, text, more in rows)
        (directory / f"{side}{lang}.jsonl").write_text("".join(lines))
    (directory / "qrels").mkdir(exist_ok=True)
    (directory / "qrels" / "test.tsv").write_text("".join(f"{q}\t{d}\t{g}\n" for q, d, g in qrels))


DOCS = [(f"d{n}", f"text {n}", {"title": f"title {n}"}) for n in range(6)]


@pytest.mark.parametrize(
    ("query", "own"),
    [
        (("d0", "text 0", {}), [0]),  # ArguAna: the text without the title
        (("d0", " title 0 text 0 ", {}), [0]),
        (("d0", "another text", {}), []),
        (("d9", "text 0", {}), []),
        (("d1", "text 1", {}), []),  # judged relevant to itself
        (("d2", "text 2", {}), [2]),  # judged not relevant
    ],
)
def test_id_and_text_make_a_query_a_passage_unless_it_is_relevant(tmp_path, query, own):
    write(tmp_path, DOCS, [query], [(query[0], "d5", 1), ("d1", "d1", 1), ("d2", "d2", 0)])
    rs = load_set(f"beir:{tmp_path}")
    assert (rs.own_queries.tolist(), rs.own_passages.tolist()) == ([0] * len(own), own)
    assert len(rs.notes) >= bool(own)
    long = load_set(f"longdoc:{tmp_path}?words=1&overlap=0")
    assert long.own_passages.tolist() == own
    if own:
        plain = replace(rs, own_queries=np.empty(0, np.int64), own_passages=np.empty(0, np.int64))
        assert set_digest(rs) != set_digest(plain)


def test_own_passages_are_left_out_in_every_language(tmp_path):
    for lang in ("en", "de"):
        docs = [(name, f"{lang} {text}", {}) for name, text, _ in DOCS]
        write(tmp_path, docs, docs[:2], [("d0", "d3", 1), ("d1", "d1", 1), ("d1", "d4", 1)], f".{lang}")
    rs = load_set(f"beir:{tmp_path}")
    assert rs.langs == ("de", "en")
    own = list(zip(rs.own_queries.tolist(), rs.own_passages.tolist(), strict=True))
    assert own == [(0, 0), (0, 6), (2, 0), (2, 6)]  # d0, asked in both languages, is a passage in both


def test_scores_are_those_of_trec_eval_without_own_passages(tmp_path):
    docs = [*DOCS, *((f"e{n}", f"other {n}", {}) for n in range(20))]
    write(tmp_path, docs, [(*row[:2], {}) for row in DOCS], [(f"d{n}", f"e{n}", 1) for n in range(6)])
    rs = load_set(f"beir:{tmp_path}")
    rng = np.random.default_rng(1)
    passages = rng.normal(size=(rs.num_passages, 8)).astype(np.float32)
    queries = passages[:6] + rng.normal(size=(6, 8)).astype(np.float32) / 4
    products = queries @ passages.T
    run = [
        ir_measures.ScoredDoc(key, str(rs.passage_ids[row]), float(products[query, row]))
        for query, key in enumerate(rs.query_keys)
        for row in range(rs.num_passages)
        if str(rs.passage_ids[row]) != key
    ]
    qrels = [ir_measures.Qrel(f"d{n}", f"e{n}", 1) for n in range(6)]
    measures = [ir_measures.nDCG @ 10, ir_measures.AP, ir_measures.R @ 1]
    want = [ir_measures.calc_aggregate(measures, qrels, run)[measure] for measure in measures]
    scores = score(rs, queries, passages)
    headline = scores.headline()
    assert [headline[name] for name in ("pool_ndcg10", "pool_map", "mono_r1")] == pytest.approx(want)
    for query in worst_queries(rs, queries, passages, scores, num=6):
        assert query.key not in {passage.passage_id for passage in query.top}
