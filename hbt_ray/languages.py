"""Language codes at the boundary: any BCP-47 tag in, one canonical form inside."""

from __future__ import annotations

from functools import lru_cache

import langcodes

from hbt_ray.errors import CorpusError


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
        raise CorpusError(f"lang={code!r} is not a BCP-47 language code; use codes like en, zh, zh-Hant or deu")
    tag = langcodes.Language.get(text, normalize=False)
    base = tag.extlangs[-1] if tag.extlangs else tag.language or ""
    short = langcodes.standardize_tag(text)
    if _alpha3(base) & _alpha3(langcodes.Language.get(short).language or ""):
        return short
    return min(_alpha3(base)) + tag.to_tag()[2:] if len(base) == 2 else tag.to_tag()


@lru_cache(maxsize=4096)
def script_of(code: str) -> str:
    """The script of a tag (ISO 15924), `zh-Hant` -> `Hant`, else the likely one of its language, `hi` -> `Deva`.

    Empty where the registry knows none.
    """
    try:
        tag = langcodes.Language.get(code.replace("_", "-"), normalize=False)
    except ValueError:
        return ""
    full = tag.maximize()
    unknown = (full.script, full.territory) == ("Latn", "US") and tag.language != "en"  # that of no language at all
    return tag.script or ("" if unknown else full.script or "")


def _alpha3(base: str) -> set[str]:
    """The three-letter names of a language, in terminology (`deu`) and in bibliography (`ger`)."""
    try:
        tag = langcodes.Language.get(base or "und", normalize=False)
        return {tag.to_alpha3(variant="T"), tag.to_alpha3(variant="B")}
    except LookupError:
        return {base}
