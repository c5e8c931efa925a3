"""Translations that are the original, or most of it.

Measure: the share of words that the original has too. Threshold: above `clean.max_copied`. Requirement: the
original, and `clean.min_words` words of prose.
"""

from __future__ import annotations

import re
from collections import Counter

from hbt_ray.cleaning.length_ratio import weigh
from hbt_ray.cleaning.texts import Field, Verdicts, prose
from hbt_ray.config.clean import CleanConfig

WORD = re.compile(r"[^\W\d_]+")
HOPEFUL = 0.5
"""Where plain words share less than this part of the limit, nothing closer is looked at: nearly always."""


def untranslated(field: Field, config: CleanConfig) -> Verdicts:
    """Share of a text's words, weighted by their letters, that the original has too; identifiers do not count."""
    verdicts = Verdicts.none(len(field.texts))
    for row in field.compared:
        text, original = field.pair(row)
        plain = text.split()
        there = set(original.split())
        shared = sum(len(word) for word in plain if word in there) / max(1, sum(map(len, plain)))
        if shared < HOPEFUL * config.max_copied:
            verdicts.values[row] = shared
            continue
        mine = Counter(WORD.findall(prose(text).casefold()))
        if mine.total() >= config.min_words:
            both = mine & Counter(WORD.findall(prose(original).casefold()))
            verdicts.values[row] = _letters(both) / _letters(mine)
    verdicts.bad[:] = verdicts.values > config.max_copied
    return verdicts


def _letters(words: Counter[str]) -> float:
    return sum(weigh(word) * times for word, times in words.items())
