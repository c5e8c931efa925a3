"""The worst queries are the worst, are spread over languages and questions, and show what was really ranked."""

import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.worst import TEXT_CHARS, choose, shortened, worst_queries
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.sets.parallel import parallel_set
from tests.retrieval.conftest import brute_ranking, random_set, tied_vectors


@pytest.mark.parametrize("seed", range(4))
def test_ranks_and_passages_are_those_of_a_full_sort(seed):
    rng = np.random.default_rng(seed)
    rs = random_set(rng, num_langs=3, num_queries=15, num_passages=40, max_gold=6)
    rs = replace(
        rs,
        queries=[f"question {row}" for row in range(rs.num_queries)],
        passages=[f"text {row}" for row in range(rs.num_passages)],
    )
    queries, passages = tied_vectors(rng, 15), tied_vectors(rng, 40)
    found = worst_queries(rs, queries, passages, score(rs, queries, passages), num=15)
    assert sorted(query.key for query in found) == sorted(map(str, range(15)))
    for query in found:
        row = int(query.key)
        scores = passages.astype(np.float64) @ queries[row]
        ranking = brute_ranking(scores, np.arange(40))
        place = {int(passage): at for at, passage in enumerate(ranking, start=1)}
        gold = rs.gold_passages[rs.gold_offsets[row] : rs.gold_offsets[row + 1]].tolist()
        ranks = sorted(place[passage] for passage in gold)
        assert query.text == f"question {row}"
        assert query.lang == rs.langs[rs.query_langs[row]]
        assert (query.num_gold, query.last_rank) == (len(gold), ranks[-1])
        expected = np.mean([at / rank for at, rank in enumerate(ranks, start=1)])
        assert query.average_precision == pytest.approx(expected)
        assert [int(passage.passage_id) for passage in query.top] == ranking[:3].tolist()
        assert [passage.rank for passage in query.top] == [1, 2, 3]
        shown = [int(passage.passage_id) for passage in query.gold]
        own = [passage for passage in gold if rs.passage_langs[passage] == rs.query_langs[row]]
        by_rank = sorted(gold, key=place.get)
        assert shown == sorted({*by_rank[:3], *sorted(own, key=place.get)[:1]}, key=place.get)
        for passage in (*query.gold, *query.top):
            at = int(passage.passage_id)
            assert (passage.rank, passage.relevant) == (place[at], at in gold)
            assert passage.text == f"text {at}"
            assert passage.lang == rs.langs[rs.passage_langs[at]]
            assert passage.score == scores[at]


def test_every_language_gets_its_turn_and_no_question_comes_twice():
    rng = np.random.default_rng(0)
    langs, num_keys = ("ar", "de", "en", "th"), 30
    rs = parallel_set("p", langs, np.ones((num_keys, 4), dtype=bool))
    average_precision = rng.uniform(0.5, 1, rs.num_queries)
    average_precision[rs.query_langs == 3] -= 0.4  # all of the lowest values are in one language
    average_precision[rs.query_keys == 7] = 0.01  # and one question is the worst in every language
    means = np.array([average_precision[rs.query_langs == lang].mean() for lang in range(4)])
    rows = choose(average_precision, rs.query_langs, rs.query_keys, means, 12)
    assert np.bincount(rs.query_langs[rows]).tolist() == [3, 3, 3, 3]
    assert len(set(rs.query_keys[rows])) == 12
    assert (np.diff(average_precision[rows]) >= 0).all()
    assert rows[0] == np.flatnonzero((rs.query_keys == 7) & (rs.query_langs == 3))[0]
    for lang in range(4):  # what a language shows is the lowest of what was left to it
        mine = rows[rs.query_langs[rows] == lang]
        left = (rs.query_langs == lang) & ~np.isin(rs.query_keys, rs.query_keys[rows])
        assert average_precision[mine].max() <= average_precision[left].min()


def test_more_languages_than_places_shows_the_lowest_languages():
    langs = np.repeat(np.arange(6), 5)
    average_precision = np.tile(np.linspace(0.1, 0.9, 5), 6)
    lang_scores = np.array([0.3, 0.1, 0.6, np.nan, 0.2, 0.5])
    rows = choose(average_precision, langs, np.arange(30), lang_scores, 3)
    assert sorted(langs[rows]) == [0, 1, 4]
    assert (average_precision[rows] == 0.1).all()


def test_questions_repeat_only_when_all_were_shown():
    langs, keys = np.repeat(np.arange(3), 2), np.tile([0, 1], 3)
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, np.nan])
    rows = choose(values, langs, keys, np.array([0.15, 0.35, 0.5]), 4)
    assert len(rows) == 4
    assert sorted(keys[rows]) == [0, 0, 1, 1]
    assert choose(values, langs, keys, np.zeros(3), 99).tolist() == [0, 1, 2, 3, 4]


def test_a_passage_of_several_texts_shows_the_one_that_matched():
    rs = parallel_set("p", ("de", "en"), np.ones((2, 2), dtype=bool))
    texts = [f"passage {passage}, part {part}" for passage in range(4) for part in range(2)]
    rs = replace(rs, passages=texts, text_passages=np.repeat(np.arange(4), 2))
    passages = np.eye(8, dtype=np.float32)
    queries = np.full((4, 8), 0.1, dtype=np.float32)
    queries[:, 5] = 0.7  # the second part of passage 2
    found = worst_queries(rs, queries, passages, score(rs, queries, passages), num=4)
    assert {query.top[0].text for query in found} == {"passage 2, part 1"}
    assert {query.top[0].score for query in found} == {float(np.float32(0.7))}
    assert found[0].text is None


def test_without_texts_there_are_ids():
    rng = np.random.default_rng(0)
    rs = random_set(rng)
    queries, passages = tied_vectors(rng, 12), tied_vectors(rng, 20)
    query = worst_queries(rs, queries, passages, score(rs, queries, passages), num=1)[0]
    assert (query.text, query.top[0].text) == (None, None)
    assert query.top[0].passage_id in map(str, range(20))


@pytest.mark.parametrize("change", ["set", "num"])
def test_what_does_not_fit_is_refused(change):
    rng = np.random.default_rng(0)
    rs = random_set(rng)
    queries, passages = tied_vectors(rng, 12), tied_vectors(rng, 20)
    scores = score(rs, queries, passages)
    if change == "set":
        with pytest.raises(EvaluationError, match="not of set 'random'"):
            worst_queries(replace(rs, query_keys=rs.query_keys + 1), queries, passages, scores)
    else:
        with pytest.raises(EvaluationError, match="num of worst queries is 0"):
            worst_queries(rs, queries, passages, scores, num=0)


def test_long_texts_are_cut_at_a_word_or_between_letters():
    words = "word " * 100
    assert shortened(words) == ("word " * 40).strip() + "…"
    assert shortened("a\n b") == "a b"
    thai = "ที่นี่" * 60  # no blanks, and marks above the letters
    cut = shortened(thai)
    assert TEXT_CHARS - 4 <= len(cut) <= TEXT_CHARS + 1
    assert thai.startswith(cut[:-1])
    assert not unicodedata.category(thai[len(cut) - 1]).startswith("M")
