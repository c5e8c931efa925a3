"""The built-in sample corpus: parallel, unambiguous, the same in every run, train and dev apart by entity."""

import re
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hbt_ray.corpus.sample import SAMPLE_LANGS, SampleInfo, write_sample
from hbt_ray.corpus.sample.facts import PAIRED_TERRITORIES, REGION_OF_TERRITORY, UNIT_SIZES, convert
from hbt_ray.corpus.sample.templates import PHRASINGS
from hbt_ray.errors import ConfigError

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
def info(tmp_path_factory: pytest.TempPathFactory) -> SampleInfo:
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def rows(info: SampleInfo) -> dict[str, list[Row]]:
    return {lang: pq.read_table(info.directory / f"{lang}.parquet").to_pylist() for lang in info.langs}


@pytest.fixture(scope="module")
def dev_ids(info: SampleInfo) -> set[str]:
    return set((info.directory / "dev_ids.txt").read_text(encoding="utf-8").splitlines())


def test_it_has_the_languages_of_xquad_r_and_thousands_of_items(info: SampleInfo) -> None:
    assert set(info.langs) == set(SAMPLE_LANGS) == XQUAD_R_LANGS
    assert 3000 <= info.num_items <= 6000
    assert 150 <= info.num_dev <= 300
    assert sum(info.num_items_of_source.values()) == info.num_items
    # A batch of 100 is drawn from one source, so every source must be able to fill one.
    assert min(info.num_items_of_source.values()) > 120


def test_every_item_is_in_every_language(info: SampleInfo, rows: dict[str, list[Row]]) -> None:
    in_english = [(row["id"], row["source"]) for row in rows["en"]]
    assert len(in_english) == len(set(in_english)) == info.num_items
    for lang in info.langs:
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


def test_train_and_dev_are_apart_by_entity(rows: dict[str, list[Row]], dev_ids: set[str], info: SampleInfo) -> None:
    assert len(dev_ids) == info.num_dev
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


def test_every_source_has_dev_items(dev_ids: set[str], info: SampleInfo) -> None:
    num_dev = Counter(item_id.partition("/")[0] for item_id in dev_ids)
    assert set(num_dev) == set(info.num_items_of_source)
    assert min(num_dev.values()) >= 10


def test_another_process_writes_the_same_bytes(info: SampleInfo, tmp_path: Path) -> None:
    # Another hash seed, and another locale loaded first: neither may change a text.
    script = (
        "import sys; from pathlib import Path; from babel import Locale; "
        "Locale.parse('fr').months['stand-alone']['wide'][1]; "
        "from hbt_ray.corpus.sample import write_sample; write_sample(Path(sys.argv[1]), langs=['hi', 'en'])"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env={"PYTHONHASHSEED": "7"})
    for name in ("hi.parquet", "en.parquet", "dev_ids.txt"):
        assert (tmp_path / name).read_bytes() == (info.directory / name).read_bytes()
    assert not (tmp_path / "de.parquet").exists()


@pytest.mark.parametrize("langs", [["en", "xx"], [], ["en", "en"]])
def test_languages_it_cannot_write_are_refused(tmp_path: Path, langs: list[str]) -> None:
    with pytest.raises(ConfigError, match="the sample has en, es, de"):
        write_sample(tmp_path, langs=langs)


def test_all_languages_have_the_same_phrasings_and_slots() -> None:
    def slots(texts: dict[str, tuple[str, ...]]) -> dict[str, list[set[str]]]:
        return {key: [set(re.findall(r"{(\w+)}", text)) for text in variants] for key, variants in texts.items()}

    for lang, phrasings in PHRASINGS.items():
        assert slots(dict(phrasings.questions)) == slots(dict(PHRASINGS["en"].questions)), lang
        assert slots(dict(phrasings.facts)) == slots(dict(PHRASINGS["en"].facts)), lang


def test_facts_hold() -> None:
    assert convert(3, "duration", "week", "hour") == 504
    assert convert(2, "length", "kilometer", "meter") == 2000
    assert set(PAIRED_TERRITORIES) <= set(REGION_OF_TERRITORY)
    assert all(list(sizes.values()) == sorted(sizes.values()) for sizes in UNIT_SIZES.values())
