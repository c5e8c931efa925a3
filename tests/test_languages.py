import itertools
import string

import pytest

from hbt_ray.errors import CorpusError
from hbt_ray.languages import canonical_lang, script_of


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("en", "en"),
        (" EN ", "en"),
        ("deu", "de"),
        ("ger", "de"),
        ("zho", "zh"),
        ("zh_hant", "zh-Hant"),
        ("zh-hans", "zh-Hans"),
        ("zh-tw", "zh-TW"),
        ("zho_Hans", "zh-Hans"),
        ("zh-yue", "yue"),
        ("srp-Cyrl", "sr-Cyrl"),
        ("eng_Latn", "en"),
        ("pt-br", "pt-BR"),
        ("iw", "he"),
        ("und", "und"),
        ("x-private", "x-private"),
    ],
)
def test_canonical_forms(code, expected):
    assert canonical_lang(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"), [("kzj", "kzj"), ("tl", "tgl"), ("tgl", "tgl"), ("fil", "fil"), ("sh", "hbs"), ("mo", "mol")]
)
def test_deprecated_and_overlapping_codes_keep_their_own_language(code, expected):
    assert canonical_lang(code) == expected


@pytest.mark.parametrize("code", ["", "  ", "english", "e", "-", "en-", "en--us", "a-DE", "日本語", "en us", "123"])
def test_what_is_no_language_code_is_refused(code):
    with pytest.raises(CorpusError, match="is not a BCP-47 language code; use codes like en"):
        canonical_lang(code)


def all_codes():
    letters = string.ascii_lowercase
    for code in ("".join(code) for num in (2, 3) for code in itertools.product(letters, repeat=num)):
        try:
            yield code, canonical_lang(code)
        except CorpusError:
            continue


def test_no_two_languages_merge_and_canonical_forms_are_fixed():
    from langcodes.data_dicts import LANGUAGE_ALPHA3, LANGUAGE_ALPHA3_BIBLIOGRAPHIC

    terms = {bibliographic: LANGUAGE_ALPHA3[short] for short, bibliographic in LANGUAGE_ALPHA3_BIBLIOGRAPHIC.items()}
    # Withdrawn two-letter codes for the very same language.
    terms |= {"iw": "heb", "in": "ind", "ji": "yid", "jw": "jav"}
    languages = {}
    for code, tag in all_codes():
        languages.setdefault(tag, set()).add(terms.get(code) or LANGUAGE_ALPHA3.get(code, code))
        assert canonical_lang(tag) == tag
    assert len(languages) > 8000
    assert {tag: names for tag, names in languages.items() if len(names) > 1} == {}


@pytest.mark.parametrize("rest", ["-Latn", "-Cyrl", "-BR", "-Arab-PK"])
def test_scripts_and_regions_do_not_merge_with_others(rest):
    codes = ["ar", "sr", "hbs", "sh", "uz", "pt", "tl", "fil", "ms", "zlm", "ur", "hi", "zh", "cmn"]
    tags = {canonical_lang(code + rest) for code in codes}
    assert len(tags) == len(codes) - 1  # sh is hbs


@pytest.mark.parametrize(
    ("code", "script"),
    [
        ("en", "Latn"),
        ("hi", "Deva"),
        ("hi-Latn", "Latn"),
        ("zh_Hant", "Hant"),
        ("zh", "Hans"),
        ("pes", "Arab"),
        ("tlh", ""),
        ("no such tag", ""),
    ],
)
def test_scripts(code, script):
    assert script_of(code) == script
