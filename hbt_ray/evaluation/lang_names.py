"""What a language code is called in English, from the CLDR data that babel ships."""

from functools import lru_cache

import langcodes
from babel import Locale

UNKNOWN = "und"
"""Language of a set that names none (ISO 639-3: undetermined)."""


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
    """`de` -> " in German [de]", to be added in running text; nothing where the language has no name."""
    return "" if code == UNKNOWN else f" in {code_and_name(code)}"
