"""What a recipe asks of a corpus is there, or one line says what is not."""

import json

import pytest

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.beside import read_ids
from hbt_ray.corpus.prepare import prepare
from hbt_ray.errors import CorpusError


@pytest.fixture
def run(tmp_path, small_base, in_process):
    """Prepares eight items in English and German, with changes of the recipe; returns the corpus and the news."""
    rows = [
        {"id": n, "lang": lang, "question": f"{lang} {n}", "passage": f"p {lang} {n}"}
        for n in range(8)
        for lang in "ed"
    ]
    rows = [{**row, "lang": {"e": "en", "d": "de"}[row["lang"]]} for row in rows]

    def prepared(change=lambda row: row, **config):
        news = []
        path = tmp_path / "in" / "x.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(change(row)) + "\n" for row in rows))
        config = CorpusConfig(**{"input": str(path), "dev_share": 0.0, **config})
        return prepare(config, small_base, str(tmp_path / "corpora"), report=news.append), news

    return prepared


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("1\n6\n", "utf-8"), ("1\r\n 6 \r\n\r\n", "utf-8-sig"), ("1.0\n6.0\n", "utf-8")],
)
def test_dev_ids_are_read_as_the_ids_of_rows(run, tmp_path, text, encoding):
    (tmp_path / "dev.txt").write_bytes(text.encode(encoding))
    corpus, news = run(dev_ids=str(tmp_path / "dev.txt"))
    assert [corpus.manifest.splits[name].num_items for name in ("train", "dev")] == [6, 2]
    assert not [line for line in news if line.startswith("note")]


def test_dev_ids_that_match_nothing_are_named(run, tmp_path):
    (tmp_path / "dev.txt").write_text("1\nnone\n99\n")
    corpus, news = run(dev_ids=str(tmp_path / "dev.txt"))
    assert corpus.manifest.splits["dev"].num_items == 1
    (note,) = (line for line in news if line.startswith("note"))
    assert "2 of the 3 ids" in note
    assert note.endswith(": 99, none")


@pytest.mark.parametrize(("encoding", "named"), [("utf-16", "UTF-16"), ("latin-1", "Latin-1")])
def test_dev_ids_in_another_encoding_are_refused_in_one_line(tmp_path, encoding, named):
    (tmp_path / "dev.txt").write_bytes("ü1\n".encode(encoding))
    with pytest.raises(CorpusError, match=rf"dev\.txt is not in UTF-8, but in {named}"):
        read_ids(str(tmp_path / "dev.txt"))


def test_a_language_that_the_corpus_lacks_is_refused(run):
    with pytest.raises(CorpusError, match=r"corpus\.langs=\['en', 'fr'\] names fr.* it has de, en"):
        run(langs=("EN", "fr"))
    assert run(langs=("EN",))[0].manifest.langs == ("en",)


def test_negatives_that_no_row_has_are_refused(run):
    with pytest.raises(CorpusError, match=r"corpus\.num_negatives=2, but no row"):
        run(num_negatives=2)
    with pytest.raises(CorpusError, match=r"corpus\.num_negatives=2, but no row"):
        run(lambda row: {**row, "negatives": [row["passage"]]}, num_negatives=2)
    corpus, _ = run(lambda row: {**row, "negatives": "another"} if row["id"] == 3 else row, num_negatives=2)
    assert corpus.manifest.num_negatives == 2


@pytest.mark.parametrize(("lang", "hint"), [("cz", "Czech is cs"), ("english", "English is en"), ("Jp", "Japanese")])
def test_a_wrong_language_code_has_a_hint(run, lang, hint):
    def change(row):
        return {**row, "lang": lang} if row["id"] == 3 else row

    with pytest.raises(CorpusError, match=hint):
        run(change)
    _, news = run(change, bad_rows="skip")
    assert any(hint in line for line in news)


def test_a_code_that_is_often_meant_for_another_is_noted(run):
    _, news = run(lambda row: {**row, "lang": "kr"} if row["lang"] == "de" else row)
    assert any("kr is the code of Kanuri" in line and "Korean is ko" in line for line in news)
