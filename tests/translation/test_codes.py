import pytest
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES as M2M_CODES
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB_CODES

from hbt_ray.errors import ConfigError
from hbt_ray.languages import canonical_lang
from hbt_ray.translation.codes import M2M_100, MARIAN, NLLB, canonical_target, marian_codes, unsupported

PAPER = ("ar", "zh", "en", "de", "hi", "ru", "es", "th", "tr")


def test_the_tables_have_exactly_the_languages_of_the_tokenizers():
    assert set(NLLB.values()) == set(NLLB_CODES)
    assert set(M2M_100.values()) == set(M2M_CODES["m2m100"])
    assert set(M2M_CODES["wmt21"]) <= set(M2M_100.values())


@pytest.mark.parametrize("table", [NLLB, M2M_100, MARIAN], ids=["nllb", "m2m_100", "marian"])
def test_tags_are_canonical(table):
    assert [tag for tag in table if canonical_lang(tag) != tag] == []


def test_a_code_of_nllb_is_the_language_and_script_of_its_tag():
    macro = {
        "ar": "arb", "az": "azj", "fa": "pes", "lv": "lvs", "mg": "plt", "mn": "khk", "ms": "zsm", "ne": "npi",
        "no": "nb", "or": "ory", "om": "gaz", "ps": "pbt", "qu": "quy", "sq": "als", "sw": "swh", "uz": "uzn",
        "yi": "ydd", "ku": "kmr", "ff": "fuv", "din": "dik", "ay": "ayr", "kr": "knc",
    }  # fmt: skip
    for tag, code in NLLB.items():
        base, _, script = tag.partition("-")
        lang, code_script = code.split("_")
        assert canonical_lang(lang) in (base, macro.get(base)), tag
        assert script in ("", code_script) or (tag, code) == ("sat-Olck", "sat_Beng")


def test_languages_of_the_paper_and_some_that_are_easily_mistaken():
    assert set(PAPER) <= set(NLLB)
    assert set(PAPER) <= set(M2M_100)
    assert [NLLB[tag] for tag in PAPER] == [
        "arb_Arab", "zho_Hans", "eng_Latn", "deu_Latn", "hin_Deva", "rus_Cyrl", "spa_Latn", "tha_Thai", "tur_Latn",
    ]  # fmt: skip
    assert (NLLB["zh-Hant"], NLLB["sr"], NLLB["sw"], NLLB["sq"]) == ("zho_Hant", "srp_Cyrl", "swh_Latn", "als_Latn")
    assert (M2M_100["zh"], M2M_100["nso"], M2M_100["tgl"]) == ("zh", "ns", "tl")
    assert "pt-BR" not in NLLB
    assert "ks" not in NLLB  # two scripts, neither of which is the usual one


@pytest.mark.parametrize(
    ("lang", "codes"),
    [
        ("de", ("deu", "de")),
        ("ceb", ("ceb",)),
        ("zh", ("cmn_Hans", "zho_Hans", "cmn", "zho", "zh_cn", "zh_CN", "zh")),
        ("pt-BR", ("pob", "pt_br", "pt_BR")),
        ("uz-Cyrl", ("uzb_Cyrl", "uz_Cyrl")),
        ("es-MX", ("spa_MX", "es_MX")),
    ],
)
def test_what_opus_models_call_a_language(lang, codes):
    assert marian_codes(lang) == codes


def test_an_unknown_language_is_told_with_those_there_are():
    error = unsupported("m", "translate.langs", "pt-BR", ["fr", "pt", "de"])
    assert str(error) == (
        "translate.langs='pt-BR' is not allowed: model 'm' has no such language; did you mean pt?; it has de, fr, pt"
    )
    with pytest.raises(ConfigError, match=r"^translate\.langs: lang='xx-yy-zz' is not a BCP-47"):
        canonical_target("translate.langs", "xx-yy-zz")
    assert canonical_target("translate.langs", "zh_hant") == "zh-Hant"
