import json
import re

import pytest

from hbt_ray.errors import CorpusError
from hbt_ray.reports.corpus_card import (
    Card,
    Count,
    LangRow,
    SourceRow,
    card_files,
    coverage_of,
    source_rows,
    stated_licences,
)
from tests.reports.test_evaluation_page import Page

TOKENS = {"mean": 12.34, "p50": 12.0, "p95": 20.0, "max": 32.0, "cut": 0.015}


def card(langs=("de", "en", "zh"), **more):
    rows = dict(zip(langs, range(1000, 1000 + len(langs)), strict=True))
    pairs = {f"{a} {b}": 500 for a in langs for b in langs if a < b}
    return Card(
        title="faq-<b>",
        kind="prepared",
        items=1200,
        rows=sum(rows.values()),
        facts={"input": "/data/a & b"},
        langs=tuple(
            LangRow(lang=lang, rows=rows[lang], dev=3, query_tokens=TOKENS, passage_tokens=TOKENS,
                    tokens_per_word=None if lang == "zh" else 1.5, tokens_per_char=0.25)
            for lang in langs
        ),
        coverage=coverage_of(langs, rows, pairs),
        rejected=(Count(what="numbers: passage", rows=12, share=0.004, langs=(("de", 12),)),),
        contamination=(Count(what="xquad_r: shared run", rows=4, share=0.0013),),
        sources=(SourceRow(source="squad", items=1200, licence="CC BY-SA 4.0", citation="https://example.org/a"),),
        **more,
    )  # fmt: skip


def test_the_three_forms_say_the_same(same_words):
    found = card_files(card())
    tree = json.loads(found["card.json"])
    assert tree["coverage"] == [[1000, 500, 500], [500, 1001, 500], [500, 500, 1002]]
    assert tree["langs"][2]["tokens_per_word"] is None
    for form in ("card.html", "card.md"):
        text = found[form]
        for part in (
            "1,200 items in 3 languages, 3,003 rows",
            "German",
            "12.3",
            "1.5",
            "numbers: passage",
            "0.40%",
            "xquad_r: shared run",
            "CC BY-SA 4.0",
            "1,002",
        ):
            assert part in text, (form, part)  # fmt: skip
    same_words("corpus_card.txt", [*found["card.md"].splitlines(), *Page(found["card.html"]).text])
    assert "faq-&lt;b&gt;" in found["card.html"]
    assert "/data/a &amp; b" in found["card.html"]


def test_tables_in_markdown_are_whole():
    for langs in (("de", "en", "zh"), ("en",)):
        text = card_files(card(langs=langs))["card.md"]
        tables = [table.splitlines() for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]
        assert [len(table) - 2 for table in tables] == [len(langs), len(langs), 1, 1, 1]
        for table in tables:
            assert re.fullmatch(r"\|(-+:?\|)+", table[1])
            assert len({line.count("|") for line in table}) == 1, table


def test_many_languages_are_an_image_and_the_page_needs_nothing_else():
    langs = tuple(sorted({f"{a}{b}" for a in "abcd" for b in "efghij"}))
    page = card_files(card(langs=langs))["card.html"]
    assert "data:image/png;base64," in page
    assert not re.search(r'(?:src|href)="(?!data:|https://example\.org/a)', page)
    small = card_files(card())["card.html"]
    assert "<svg" not in small
    assert re.search(r"German and English: 500 items[^>]*>50%</td>", small)
    assert small.count(">100%</td>") == 3


def test_licences_beside_the_input_come_before_those_of_named_sources(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "licences.json").write_text(json.dumps({"faq": "MIT", "squad": "mine"}))
    (tmp_path / "b.csv").write_text("id\n")
    location = f"{tmp_path}/a, {tmp_path}/b.csv?question=q, source:duorc"
    assert stated_licences(location) == {"faq": "MIT", "squad": "mine"}
    rows = source_rows(location, {"faq": 2, "squad": 3, "duorc": 3, "else": 1})
    assert [(row.source, row.licence) for row in rows] == [
        ("duorc", "MIT"), ("squad", "mine"), ("faq", "MIT"), ("else", "not stated"),
    ]  # fmt: skip
    (tmp_path / "licences.json").write_text(json.dumps({"faq": ["MIT"]}))
    with pytest.raises(CorpusError, match=r"licences\.json: the licence of faq is not a text"):
        stated_licences(f"{tmp_path}/b.csv")
