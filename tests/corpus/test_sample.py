"""The built-in sample corpus: parallel, unambiguous, train and dev apart by entity."""

import unicodedata
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hbt_ray.corpus import sample
from hbt_ray.corpus.sample import SAMPLE_LANGS, write_sample

Row = dict[str, str]
XQUAD_R_LANGS = {"en", "es", "de", "el", "ru", "tr", "ar", "vi", "th", "zh", "hi"}
SCRIPTS = {
    "el": "GREEK",
    "ru": "CYRILLIC",
    "ar": "ARABIC",
    "th": "THAI",
    "zh": "CJK",
    "hi": "DEVANAGARI",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    write_sample(directory)
    return directory


@pytest.fixture(scope="module")
def rows(directory: Path) -> dict[str, list[Row]]:
    return {path.stem: pq.read_table(path).to_pylist() for path in directory.glob("*.parquet")}


@pytest.fixture(scope="module")
def dev_ids(directory: Path) -> set[str]:
    return set((directory / "dev_ids.txt").read_text(encoding="utf-8").splitlines())


def test_it_is_one_small_file_with_its_licence() -> None:
    data = Path(sample.__file__).with_name("sample.parquet")
    assert data.stat().st_size < 1_000_000
    assert "Unicode-3.0" in data.with_suffix(".LICENSE").read_text(encoding="utf-8")


def test_it_has_the_languages_of_xquad_r_and_thousands_of_items(rows: dict[str, list[Row]], dev_ids: set[str]) -> None:
    assert set(rows) == set(SAMPLE_LANGS) == XQUAD_R_LANGS
    assert len(rows["en"]) == 3218
    assert len(dev_ids) == 240
    # A batch of 100 is drawn from one source, so every source must be able to fill one.
    assert min(Counter(row["source"] for row in rows["en"]).values()) > 120


def test_every_item_is_in_every_language(rows: dict[str, list[Row]]) -> None:
    in_english = [(row["id"], row["source"]) for row in rows["en"]]
    assert len(in_english) == len(set(in_english))
    for lang in SAMPLE_LANGS:
        assert [(row["id"], row["source"]) for row in rows[lang]] == in_english
        assert {row["lang"] for row in rows[lang]} == {lang}


def test_texts_are_there_and_no_two_are_equal(rows: dict[str, list[Row]]) -> None:
    for lang, of_lang in rows.items():
        for field in ("question", "passage"):
            texts = [row[field] for row in of_lang]
            assert all(text.strip() and "{" not in text and ".." not in text for text in texts), lang
            assert len(set(texts)) == len(texts), lang


def test_the_passage_has_the_answer_in_it(rows: dict[str, list[Row]]) -> None:
    assert all(row["answer"] and row["answer"] in row["passage"] for of_lang in rows.values() for row in of_lang)


@pytest.mark.parametrize(("lang", "script"), SCRIPTS.items())
def test_texts_are_in_the_script_of_their_language(rows: dict[str, list[Row]], lang: str, script: str) -> None:
    def share(text: str) -> float:
        letters = [character for character in text if character.isalpha()]
        return sum(unicodedata.name(character).startswith(script) for character in letters) / len(letters)

    for row in rows[lang]:
        # Codes such as UTC+2, PHP or CFA stay Latin in every script.
        assert share(row["question"]) > 0.8, row
        assert share(row["passage"]) > 0.6, row


@pytest.mark.parametrize("lang", sorted(XQUAD_R_LANGS - set(SCRIPTS)))
def test_latin_script_languages_have_no_other_letters(rows: dict[str, list[Row]], lang: str) -> None:
    for row in rows[lang]:
        for character in set(row["question"] + row["passage"]):
            # Tongan and Uzbek names bring their glottal stop, which is a modifier letter of no script.
            assert not character.isalpha() or unicodedata.name(character).startswith(("LATIN", "MODIFIER")), row


def test_no_language_borrows_the_months_of_another(rows: dict[str, list[Row]]) -> None:
    october = {
        row["lang"]: row["question"] for of_lang in rows.values() for row in of_lang if "/2028-10-6" in row["id"]
    }
    names = {"hi": "अक्टूबर", "zh": "十月", "tr": "Ekim", "es": "octubre", "ru": "октябрь", "el": "Οκτώβριος"}
    assert all(name in october[lang] for lang, name in names.items())


def test_train_and_dev_are_apart_by_entity(rows: dict[str, list[Row]], dev_ids: set[str]) -> None:
    assert dev_ids < {row["id"] for row in rows["en"]}
    of_territories = {"currency_of_territory", "languages_of_territory", "code_of_currency"}
    subjects: dict[bool, set[str]] = {True: set(), False: set()}
    for row in rows["en"]:
        entity = row["id"].partition("/")[2]
        is_dev = row["id"] in dev_ids
        if row["source"] in of_territories:
            subjects[is_dev].add(entity)
        elif row["source"] == "currencies_of_territory_pair":
            # Pairs, train or dev, are of train territories only: a dev territory is met nowhere in training.
            subjects[False].update(entity.split("-"))
        else:
            subjects[is_dev].add(f"{row['source']}/{entity}")
    assert subjects[True]
    assert not subjects[True] & subjects[False]


def test_every_source_has_dev_items(rows: dict[str, list[Row]], dev_ids: set[str]) -> None:
    num_dev = Counter(item_id.partition("/")[0] for item_id in dev_ids)
    assert set(num_dev) == {row["source"] for row in rows["en"]}
    assert min(num_dev.values()) >= 10
