"""Languages: canonical codes (BCP-47), English names, scripts, and where a script writes spaces."""

from __future__ import annotations

from functools import lru_cache

import langcodes
from babel import Locale

from hbt_ray.errors import CorpusError

UNKNOWN = "und"
"""Language of a set that names none (ISO 639-3: undetermined)."""
TOUCHING = frozenset({"Hans", "Hant", "Hani", "Jpan", "Hira", "Kana", "Bopo", "Yiii"})
"""Scripts with nothing between two sentences either."""
UNSPACED = TOUCHING | {"Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Lana", "Tale", "Talu", "Tavt"}
"""Scripts without spaces between words: all of Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan."""


MISTAKEN = {
    "cz": "cs", "jp": "ja", "gr": "el", "kr": "ko", "dk": "da", "se": "sv", "cn": "zh", "ua": "uk", "vn": "vi",
    "sp": "es", "ir": "fa", "il": "he", "rs": "sr", "al": "sq", "at": "de", "gb": "en", "us": "en", "np": "ne",
}  # fmt: skip
"""Codes of countries that are taken for those of languages; `kr` (Kanuri) and `se` (Northern Sami) are both."""


def lang_hint(code: str) -> str:
    """`cz` -> "Czech is cs"; empty where the code is not known to be mistaken for another."""
    text = code.strip().lower()
    right = MISTAKEN.get(text) or _codes_by_name().get(text, "")
    return f"{lang_name(right)} is {right}" if right else ""


@lru_cache(maxsize=4096)
def canonical_lang(code: str) -> str:
    """Canonical BCP-47 tag of `code`: `deu` -> `de`, `zh_hant` -> `zh-Hant`, `srp-Cyrl` -> `sr-Cyrl`.

    Only another name of the very same language replaces a subtag. A deprecated or overlapping code keeps its own
    language (`kzj` does not become `dtp`, `tl` is `tgl` and not `fil`), since corpora hold both and two languages
    must never merge.

    Raises:
        CorpusError: `code` is not a language tag that the registry knows.
    """
    text = code.strip().replace("_", "-")
    if not text or not langcodes.tag_is_valid(text):
        hint = f" ({hint})" if (hint := lang_hint(code)) else ""
        raise CorpusError(f"lang={code!r} is not a BCP-47 language code; use codes like en, zh, zh-Hant or deu{hint}")
    tag = langcodes.Language.get(text, normalize=False)
    base = tag.extlangs[-1] if tag.extlangs else tag.language or ""
    short = langcodes.standardize_tag(text)
    if _alpha3(base) & _alpha3(langcodes.Language.get(short).language or ""):
        return short
    return min(_alpha3(base)) + tag.to_tag()[2:] if len(base) == 2 else tag.to_tag()


@lru_cache(maxsize=4096)
def script_of(code: str) -> str:
    """The script of a tag (ISO 15924), `zh-Hant` -> `Hant`, else the likely one of its language, `hi` -> `Deva`.

    Empty if the registry knows none.
    """
    try:
        tag = langcodes.Language.get(code.replace("_", "-"), normalize=False)
    except ValueError:
        return ""
    full = tag.maximize()
    # ("Latn", "US") is the answer for a language without a likely script
    unknown = (full.script, full.territory) == ("Latn", "US") and tag.language != "en"
    return tag.script or ("" if unknown else full.script or "")


@lru_cache(maxsize=4096)
def lang_name(code: str) -> str:
    """`de` -> "German", `zh-Hant` -> "Chinese (Traditional)"; the code itself where CLDR has no name for it."""
    if code == UNKNOWN:
        return "unnamed language"
    if not langcodes.tag_is_valid(code):
        return code
    tag, english = langcodes.Language.get(code), Locale("en")
    name = english.languages.get(tag.language or "") or english.languages.get(tag.prefer_macrolanguage().language or "")
    if name is None:
        return code
    parts = (english.scripts.get(tag.script or ""), english.territories.get(tag.territory or ""))
    details = ", ".join(part.removesuffix(" Han") for part in parts if part)
    return f"{name} ({details})" if details else str(name)


def code_and_name(code: str) -> str:
    """`de` -> "German [de]", for running text."""
    name = lang_name(code)
    return name if name == code or code == UNKNOWN else f"{name} [{code}]"


def in_lang(code: str) -> str:
    """`de` -> " in German [de]", to be added in running text; empty if the language has no name."""
    return "" if code == UNKNOWN else f" in {code_and_name(code)}"


def unspaced(lang: str) -> bool:
    """Whether a language (BCP-47) is written without spaces between words; `zh-Latn` is not."""
    return script_of(lang) in UNSPACED


def touching(lang: str) -> bool:
    """Whether a language (BCP-47) has nothing between two sentences."""
    return script_of(lang) in TOUCHING


@lru_cache(maxsize=1)
def _codes_by_name() -> dict[str, str]:
    """English name in small letters -> code, as `english` is written for `en`."""
    return {name.lower(): code for code, name in Locale("en").languages.items() if len(code) < 4}


def _alpha3(base: str) -> set[str]:
    """The three-letter names of a language, in terminology (`deu`) and in bibliography (`ger`)."""
    try:
        tag = langcodes.Language.get(base or "und", normalize=False)
        return {tag.to_alpha3(variant="T"), tag.to_alpha3(variant="B")}
    except LookupError:
        return {base}
