"""The phrasings of every question and every fact, one module a language, the same keys in each.

`QUESTIONS[source]` and `FACTS[fact]` hold the paraphrases; the words in braces are slots for CLDR names,
numbers and dates. To add a language: write a module with the same keys and slots, and name it here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hbt_ray.corpus.sample.templates import ar, de, el, en, es, hi, ru, th, tr, vi, zh


@dataclass(frozen=True, kw_only=True)
class Phrasings:
    """How one language asks and tells."""

    questions: Mapping[str, tuple[str, ...]]
    """source -> paraphrases of its question."""

    facts: Mapping[str, tuple[str, ...]]
    """fact -> paraphrases of its sentence."""

    between: str
    """What stands between two sentences."""


_MODULES: Final = {
    "en": en,
    "es": es,
    "de": de,
    "el": el,
    "ru": ru,
    "tr": tr,
    "ar": ar,
    "vi": vi,
    "th": th,
    "zh": zh,
    "hi": hi,
}

PHRASINGS: Final[Mapping[str, Phrasings]] = {
    lang: Phrasings(questions=module.QUESTIONS, facts=module.FACTS, between=getattr(module, "BETWEEN_SENTENCES", " "))
    for lang, module in _MODULES.items()
}
