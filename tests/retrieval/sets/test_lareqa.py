import copy
import gzip
import json

import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.lareqa import load_lareqa

CONTEXT = {"en": "One. Two.", "de": "Eins. Zwei."}
BREAKS = {"en": [[0, 4], [5, 9]], "de": [[0, 5], [6, 11]]}


def upstream(lang):
    """Two sentences; question `a` is answered by the second, `b` (English alone) by the first."""
    text, breaks = CONTEXT[lang], BREAKS[lang]
    questions = [("a", breaks[1][0])] + ([("b", 0)] if lang == "en" else [])
    return {
        "data": [
            {
                "title": "t",
                "paragraphs": [
                    {
                        "context": text,
                        "sentences": [text[start:end] for start, end in breaks],
                        "sentence_breaks": breaks,
                        "qas": [
                            {"id": key, "question": f"{key}?", "answers": [{"answer_start": at, "text": ""}]}
                            for key, at in questions
                        ],
                    }
                ],
            }
        ]
    }


def derived(lang):
    text, breaks = CONTEXT[lang], BREAKS[lang]
    keys = [("a", f"{lang}:0:0:1")] + ([("b", f"{lang}:0:0:0")] if lang == "en" else [])
    return {
        "lang": lang,
        "contexts": {f"{lang}:0:0": {"title": "t", "text": text}},
        "candidates": [
            {"id": f"{lang}:0:0:{number}", "ctx": f"{lang}:0:0", "text": text[start:end]}
            for number, (start, end) in enumerate(breaks)
        ],
        "questions": [{"id": key, "text": f"{key}?", "gold": [gold]} for key, gold in keys],
    }


def write(directory, form, zipped=False):
    for lang in CONTEXT:
        raw = json.dumps(form(lang)).encode()
        path = directory / (f"{lang}.json.gz" if zipped else f"{lang}.json")
        path.write_bytes(gzip.compress(raw) if zipped else raw)
    return directory


def gold_ids(rs):
    """(question id, language) -> the ids of its gold."""
    return {
        (str(key), rs.langs[lang]): sorted(map(str, rs.passage_ids[rows]))
        for key, lang, rows in zip(
            rs.query_keys, rs.query_langs, np.split(rs.gold_passages, rs.gold_offsets[1:-1]), strict=True
        )
    }


def assert_same_set(one, other):
    assert one.langs == other.langs
    assert list(one.queries) == list(other.queries)
    assert list(one.passages) == list(other.passages)
    for field in (
        "query_langs",
        "query_keys",
        "passage_langs",
        "passage_ids",
        "gold_offsets",
        "gold_passages",
    ):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("form", [upstream, derived])
def test_both_forms(tmp_path, form, zipped):
    rs = load_lareqa(write(tmp_path, form, zipped))
    assert rs.langs == ("de", "en")
    assert list(rs.passages) == ["Eins.", "Zwei.", "One.", "Two."]
    assert list(rs.queries) == ["a?", "a?", "b?"]
    both = ["de:0:0:1", "en:0:0:1"]
    assert gold_ids(rs) == {("a", "de"): both, ("a", "en"): both, ("b", "en"): ["en:0:0:0"]}


def test_languages_are_chosen_and_ordered_and_context_added(tmp_path):
    write(tmp_path, upstream)
    assert load_lareqa(tmp_path, langs=("en", "de")).langs == ("en", "de")
    rs = load_lareqa(tmp_path, langs=["en"], in_context=True)
    assert list(rs.passages) == ["One.\nOne. Two.", "Two.\nOne. Two."]
    assert gold_ids(rs) == {("a", "en"): ["en:0:0:1"], ("b", "en"): ["en:0:0:0"]}


def edited(form, edit):
    document = copy.deepcopy(form("en"))
    edit(document)
    return json.dumps(document)


def paragraph(document):
    return document["data"][0]["paragraphs"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "en.json is not readable JSON"),
        ("[]", "neither 'candidates'"),
        ("{}", "neither 'candidates'"),
        (edited(upstream, lambda d: paragraph(d).pop("sentences")), "key 'sentences' is missing"),
        (edited(upstream, lambda d: paragraph(d)["sentences"].pop()), "en.json is malformed: zip"),
        (
            edited(upstream, lambda d: paragraph(d)["qas"][0]["answers"][0].update(answer_start=99)),
            r"answer lies in no candidate: a;",
        ),
        (edited(upstream, lambda d: d.update(data=[])), "no candidates"),
        (edited(derived, lambda d: d["questions"].clear()), "no questions"),
        (edited(derived, lambda d: d["contexts"].clear()), "key 'en:0:0' is missing"),
        (
            edited(derived, lambda d: d["questions"][0]["gold"].append("en:9")),
            r"not contain: en:9;",
        ),
        (edited(derived, lambda d: d["questions"][1].update(id="a")), "en.json question 2 has the id a"),
        (
            edited(derived, lambda d: d["candidates"].append(d["candidates"][0])),
            "en.json candidate 3 has the id en:0:0:0",
        ),
        (edited(derived, lambda d: d["candidates"][0].update(text=" ")), "candidates without text: en:0:0:0"),
        (edited(derived, lambda d: d["questions"][0].update(text=" ")), "questions without text: a"),
    ],
)
def test_malformed_files_are_named(tmp_path, text, message):
    (tmp_path / "en.json").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        load_lareqa(tmp_path)


WHOLE = gzip.compress(json.dumps(upstream("en")).encode())


@pytest.mark.parametrize("broken", [b"not gzip", WHOLE[:-9], WHOLE[:12] + bytes(20) + WHOLE[32:]])
def test_broken_gzip(tmp_path, broken):
    (tmp_path / "en.json.gz").write_bytes(broken)
    with pytest.raises(EvaluationError, match=r"en.json.gz is not readable"):
        load_lareqa(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(EvaluationError, match="there is no directory"):
        load_lareqa(tmp_path / "nowhere")
    with pytest.raises(EvaluationError, match="holds no file"):
        load_lareqa(tmp_path)
    write(tmp_path, upstream)
    with pytest.raises(EvaluationError, match=r"for th, xx; it has de, en"):
        load_lareqa(tmp_path, langs=["en", "th", "xx"])


@pytest.mark.data
def test_xquad_r_is_the_same_from_both_forms(xquad_r):
    rs = load_lareqa(xquad_r / "eval")
    assert_same_set(rs, load_lareqa(xquad_r / "original"))
    assert rs.num_passages == 13_014
    assert np.bincount(rs.query_langs).tolist() == [1190] * 11
    assert np.bincount(rs.passage_langs).tolist() == [
        1222, 1276, 1234, 1180, 1215, 1244, 1219, 852, 1167, 1209, 1196
    ]  # fmt: skip
    with gzip.open(xquad_r / "eval" / "gold_all_langs.json.gz") as file:
        published = json.load(file)
    got = gold_ids(rs)
    assert len(got) == 13_090
    assert all(ids == sorted(published[key]) for (key, _), ids in got.items())
