"""The rules by name."""

from __future__ import annotations

from collections.abc import Callable

from hbt_ray.cleaning.length_ratio import length_ratio
from hbt_ray.cleaning.lost_parts import entities, numbers
from hbt_ray.cleaning.markup import markup
from hbt_ray.cleaning.repetition import repetition
from hbt_ray.cleaning.texts import Field, Verdicts
from hbt_ray.cleaning.untranslated import untranslated
from hbt_ray.cleaning.wrong_language import wrong_language
from hbt_ray.config.clean import CleanConfig

Rule = Callable[[Field, CleanConfig], Verdicts]
RULES: dict[str, Rule] = {
    "length_ratio": length_ratio,
    "wrong_language": wrong_language,
    "untranslated": untranslated,
    "repetition": repetition,
    "numbers": numbers,
    "entities": entities,
    "markup": markup,
}
"""Name, as in `clean.rules` -> the rule. Each is applied to questions and to passages."""
