import io
import json
import math
from dataclasses import replace

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, R
from rich.console import Console

from hbt_ray.config.headline import HEADLINE
from hbt_ray.reports.evaluation_table import print_scores
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.sets.parallel import parallel_set
from tests.retrieval.conftest import brute_ranking, random_set, tied_vectors


def reference_mean(rs, scores, query_lang, rows, measure):
    """ir-measures' mean over the queries of a language that have gold among `rows`; NaN if none has."""
    qrels, run = {}, {}
    for query in np.flatnonzero(rs.query_langs == query_lang):
        gold = rs.gold_passages[rs.gold_offsets[query] : rs.gold_offsets[query + 1]]
        gold = np.intersect1d(gold, rows)
        if len(gold):
            ranking = brute_ranking(scores[query], rows)
            qrels[str(query)] = {str(row): 1 for row in gold}
            run[str(query)] = {str(row): float(-place) for place, row in enumerate(ranking)}
    return ir_measures.calc_aggregate([measure], qrels, run)[measure] if qrels else math.nan


@pytest.mark.parametrize("seed", range(3))
def test_all_cells_against_ir_measures(seed):
    rng = np.random.default_rng(seed)
    rs = random_set(rng, 4, 60, 50, max_gold=3)
    queries, passages = tied_vectors(rng, 60), tied_vectors(rng, 50)
    got, scores = score(rs, queries, passages), queries @ passages.T
    rows = [np.flatnonzero(rs.passage_langs == lang) for lang in range(4)]
    for q in range(4):
        for d in range(4):
            want = reference_mean(rs, scores, q, rows[d], AP)
            np.testing.assert_allclose(got.map_matrix[q, d], want, rtol=0, atol=1e-9)
            np.testing.assert_allclose(
                got.r1_matrix[q, d], reference_mean(rs, scores, q, rows[d], R @ 1), rtol=0, atol=1e-9
            )
        np.testing.assert_allclose(got.pool_map[q], reference_mean(rs, scores, q, np.arange(50), AP), rtol=0, atol=1e-9)
        np.testing.assert_allclose(
            got.pool_r10[q], reference_mean(rs, scores, q, np.arange(50), R @ 10), rtol=0, atol=1e-9
        )


def test_a_perfect_encoder():
    has = np.ones((20, 3), dtype=bool)
    rs = parallel_set("dev", ("en", "de", "zh"), has)
    vectors = np.eye(20, dtype=np.float32)[rs.query_keys]
    head = score(rs, vectors, vectors).headline()
    assert tuple(head) == HEADLINE
    assert all(head[key] == 1.0 for key in set(HEADLINE) - {"rank_distance"})
    assert head["rank_distance"] == 2.0  # three answers on places 1 to 3
    assert all(type(value) is float for value in head.values())


def test_means_are_over_the_cells_that_exist():
    # Item 2 is in English alone, and nothing is in Thai.
    rs = parallel_set("dev", ("en", "de", "th"), np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0]], dtype=bool))
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((rs.num_queries, 8)).astype(np.float32)
    got = score(rs, vectors, vectors)
    head = got.headline()
    assert head["mono_map"] == 1.0
    assert head["cross_map"] == pytest.approx((got.map_matrix[0, 1] + got.map_matrix[1, 0]) / 2)
    assert head["worst_pair_map"] == min(got.map_matrix[0, 1], got.map_matrix[1, 0])
    assert head["pool_map"] == pytest.approx(got.pool_map[:2].mean())
    assert got.num_unparallel.tolist() == [1, 0, 0]
    assert got.langs_without_rank_distance == ("th",)
    per = got.per_query
    english = per.langs == 0
    np.testing.assert_allclose(np.nanmean(per.cross_ap[english]), got.map_matrix[0, 1])
    np.testing.assert_allclose(per.pool_ap[english].mean(), got.pool_map[0])
    assert np.isnan(per.cross_ap[2])
    assert np.isnan(per.rank_distance[2])


def test_one_language_has_no_cross_scores():
    rs = parallel_set("dev", ("en",), np.ones((5, 1), dtype=bool))
    vectors = np.eye(5, dtype=np.float32)
    got = score(rs, vectors, vectors, top_k=0)
    head = got.headline()
    assert head["mono_map"] == 1.0
    assert all(math.isnan(head[key]) for key in ("cross_map", "cross_r1", "rank_distance", "worst_pair_map"))
    plain = json.loads(json.dumps(got.to_json(), allow_nan=False))
    assert plain["headline"]["cross_map"] is None
    assert plain["worst_pair"] is None
    assert plain["language_share"] is None


def test_json_is_plain_and_complete():
    rng = np.random.default_rng(4)
    rs = random_set(rng, 3, 30, 40)
    got = score(rs, tied_vectors(rng, 30), tied_vectors(rng, 40))
    plain = json.loads(json.dumps(got.to_json(), allow_nan=False))
    assert plain["headline"] == pytest.approx(got.headline())
    assert plain["langs"] == ["l0", "l1", "l2"]
    np.testing.assert_allclose(np.array(plain["map_matrix"], dtype=float), got.map_matrix)
    assert plain["worst_lang"] == rs.langs[int(np.argmin(got.pool_map))]
    assert np.array(plain["language_share"]["found"]).shape == (3, 3)
    assert sum(plain["num_queries"]) == 30


@pytest.mark.parametrize(("num_langs", "matrix"), [(2, True), (14, True), (15, False)])
def test_table_fits_a_terminal(num_langs, matrix):
    langs = tuple(f"x{chr(97 + number)}" for number in range(num_langs))
    rs = parallel_set("dev", langs, np.ones((3, num_langs), dtype=bool))
    vectors = np.random.default_rng(0).standard_normal((rs.num_queries, 4)).astype(np.float32)
    console = Console(width=80, record=True, file=io.StringIO())
    print_scores(score(rs, vectors, vectors), console)
    text = console.export_text()
    assert "rank_distance" in text
    assert "…" not in text
    assert ("passage language (column)" in text) is matrix


def test_a_query_whose_answers_are_all_lost_scores_nothing_and_changes_no_other():
    rng = np.random.default_rng(2)
    rs = random_set(rng, 3, 12, 20, max_gold=4)
    queries, passages = rng.standard_normal((12, 5)), rng.standard_normal((20, 5))
    for at in (0, 5, 12):  # at the beginning, inside, at the end
        offsets = np.insert(rs.gold_offsets, at, rs.gold_offsets[at])
        more = replace(
            rs,
            query_langs=np.insert(rs.query_langs, at, 1),
            query_keys=np.insert(rs.query_keys, at, 99),
            gold_offsets=offsets,
            lost_queries=np.array([at, at]),
            lost_grades=np.array([1, 2]),
        )
        got, want = score(more, np.insert(queries, at, 0.5, axis=0), passages), score(rs, queries, passages)
        for name in ("mono_ap", "cross_ap", "pool_ap", "pool_recall", "rank_distance", "peer", "pair_ap", "pair_r1"):
            values = getattr(got.per_query, name)
            np.testing.assert_array_equal(np.delete(values, at, axis=0), getattr(want.per_query, name), err_msg=name)
        assert (got.per_query.pool_ap[at], got.per_query.mono_ap[at], got.per_query.pool_recall[at]) == (0, 0, 0)
        assert (got.standard.mono_ndcg[at], got.standard.pool_recall[at], got.standard.pool_mrr[at]) == (0, 0, 0)
        assert np.isnan([got.per_query.rank_distance[at], got.per_query.peer[at], got.per_query.cross_ap[at]]).all()
        np.testing.assert_array_equal(got.share.relevant, want.share.relevant)
