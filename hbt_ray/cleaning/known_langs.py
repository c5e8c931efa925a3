"""Which of the identifier's languages a tag is: corpora and the identifier name many by other codes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from hbt_ray.cleaning.identify import identifier
from hbt_ray.cleaning.texts import base_lang
from hbt_ray.languages import canonical_lang, script_of

_SAME = """
ar=arb,acm,acq,acw,aeb,afb,ajp,apc,apd,ars,ayl az=azj et=ekk fa=pes,prs gom=kok,knn gug=gn hr=hbs ku=kmr lv=lvs mg=plt
mn=khk ms=zsm,zlm ne=npi no=nb om=gaz,hae or=ory ps=pbt,pbu,pst qu=quy,quz ro=mol sq=als,aln sw=swh,swc tl=fil uz=uzn
zh=cmn,lzh,gan,hsn
"""
SAME = {
    code: label for label, _, codes in (entry.partition("=") for entry in _SAME.split()) for code in codes.split(",")
}
"""Canonical code -> the identifier's, for codes beside its own: standard and written forms of a language, and the kinds
of Arabic and Chinese that are written alike. Of Min Nan and Hakka much is in Latin letters: they are not here."""
ONE_SCRIPT = {"Hans": "Hani", "Hant": "Hani", "Hang": "Kore"}
SCRIPTS = {"sr": {"Latn"}, "uz": {"Cyrl"}}
"""Scripts that the identifier has learned beside the likely one."""


def unjudged(langs: Iterable[str]) -> list[str]:
    """Of some languages (canonical codes) those that are not judged by language."""
    return sorted(lang for lang in langs if identified_as(lang) is None)


@lru_cache(maxsize=4096)
def identified_as(lang: str) -> str | None:
    """What the identifier calls a language (canonical code); None where it does not know it in the tag's script."""
    base = base_lang(lang)
    label = _labels().get(base) or SAME.get(base)
    if label is None:
        return None
    usual = _script(label) or _script(canonical_lang(label))
    return label if _script(lang) in {"", usual, *SCRIPTS.get(label, ())} else None


@lru_cache(maxsize=1)
def _labels() -> dict[str, str]:
    """Canonical code -> the identifier's, for its own."""
    return {canonical_lang(label): label for label in identifier().langs if label != "zxx"}


def _script(lang: str) -> str:
    script = script_of(lang)
    return ONE_SCRIPT.get(script, script)
