from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.cleaning.contamination import known_texts, overlap
from hbt_ray.cleaning.counts import CleanCounts
from hbt_ray.cleaning.partition import check_against
from hbt_ray.cleaning.rules import judge
from hbt_ray.config import CleanConfig
from hbt_ray.corpus.rows import check_rows
from hbt_ray.errors import ConfigError
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

CONFIG = CleanConfig(run_words=3, run_chars=4)


def retrieval_set(queries, passages, langs=("en", "ja"), **more):
    return RetrievalSet(
        name="set",
        langs=langs,
        query_langs=np.array([langs.index(lang) for lang, _ in queries]),
        query_keys=np.arange(len(queries)),
        passage_langs=np.array([langs.index(lang) for lang, _ in passages]),
        passage_ids=np.arange(len(passages)),
        gold_offsets=np.arange(len(queries) + 1),
        gold_passages=np.zeros(len(queries), int),
        queries=[text for _, text in queries],
        passages=[text for _, text in passages],
        **more,
    )


def found(rows, rs, config=CONFIG):
    known = known_texts(rs, "set", config)
    langs, questions, passages = zip(*rows, strict=True)
    result = overlap(questions, passages, langs, known, config)
    return result.same_question.tolist(), result.shared_runs.tolist()


def test_questions_are_equal_without_case_punctuation_and_width():
    rs = retrieval_set([("en", "Who wrote it?"), ("ja", "猫は？"), ("en", "??")], [("en", "a b")])
    rows = [("en", "who WROTE it", ""), ("de", "Who wrote it?", ""), ("en", "Who wrote", ""), ("ja", "猫は", "")]
    assert found([*rows, ("en", "!", "")], rs)[0] == [True, True, False, True, False]


def test_runs_of_words_and_of_characters():
    rs = retrieval_set([("en", "q one two")], [("en", "The quick, brown fox"), ("ja", "吾輩は猫である")])
    rows = [
        ("en", "the quick brown", "none here at all"),
        ("en", "x", "saw the Quick Brown fox run"),
        ("en", "q one two", "q one"),
        ("ja", "輩は猫で", "吾輩は犬"),
        ("en", "quick brown", "fox"),  # a run does not go from one text into another
    ]
    assert found(rows, rs)[1] == [1, 2, 1, 1, 0]


def test_a_text_shorter_than_a_run_is_found_where_another_is_equal():
    config = CleanConfig()
    rs = retrieval_set(
        [("en", "Why so?")],
        [("en", "It was built in 1889."), ("en", "Yes it was."), ("ja", "東京タワーは高い。"), ("ja", "はい。")],
    )
    rows = [
        ("en", "why?", "it was BUILT in 1889"),
        ("en", "It was built in 1889", "A tower."),
        ("en", "why?", "It was built in 1889 by him."),  # holds it, and is none of the texts
        ("en", "why?", "Yes, it was."),
        ("ja", "何？", "東京タワーは高い"),
        ("ja", "何？", "はい"),
    ]
    assert found(rows, rs, config)[1] == [1, 1, 0, 0, 1, 0]
    assert known_texts(rs, "set", config).num_short == 2


def test_negatives_are_compared_too():
    rs = retrieval_set([("en", "q one two")], [("en", "The quick brown fox")])
    known = known_texts(rs, "set", CONFIG)
    negatives = [None, ["no", "A quick brown fox", "the quick brown"], []]
    result = overlap(["x"] * 3, ["y"] * 3, ["en"] * 3, known, CONFIG, negatives)
    assert result.shared_runs.tolist() == [0, 2, 0]
    assert not result.same_question.any()

    rows = [{"id": f"i{at}", "lang": "en", "question": "x", "passage": "y"} for at in range(3)]
    table = check_rows(pa.Table.from_pylist([{**row, "negatives": n} for row, n in zip(rows, negatives, strict=True)]))
    judgement, counts = judge(table, CleanConfig(rules=())), CleanCounts()
    check_against(table, judgement, [known], replace(CONFIG, contamination="remove"), counts)
    assert judgement.reasons.tolist() == ["", "contamination: shared run with set", ""]
    assert counts.contamination == {"set": {"same question": {}, "shared run": {"en": 1}}}


words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=9).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=1, max_size=4), st.lists(st.tuples(words, words), min_size=1, max_size=4))
def test_shared_runs_against_plain_python(known, rows):
    def windows(text):
        parts = text.split()
        return [tuple(parts[at : at + 3]) for at in range(len(parts) - 2)]

    rs = retrieval_set([("en", "zz")], [("en", text) for text in known], langs=("en",))
    there = {window for text in known for window in windows(text)}
    expected = [sum(window in there for text in pair for window in windows(text)) for pair in rows]
    assert found([("en", *pair) for pair in rows], rs)[1] == expected


def test_parts_of_long_passages_have_the_language_of_their_passage():
    rs = retrieval_set([("en", "zz")], [("en", "x"), ("ja", "y")])
    parts = RetrievalSet(
        **{**vars(rs), "text_passages": np.array([0, 1, 1]), "passages": ["x", "猫である", "犬である"]}
    )
    assert found([("ja", "", "猫である"), ("ja", "", "犬である"), ("en", "", "猫である")], parts)[1] == [1, 1, 0]


def test_a_set_without_texts_cannot_be_checked_against():
    rs = retrieval_set([("en", "a")], [("en", "b")])
    without = RetrievalSet(**{**vars(rs), "queries": None})
    with pytest.raises(ConfigError, match=r"clean\.check_against: set has no texts"):
        known_texts(without, "set", CONFIG)
