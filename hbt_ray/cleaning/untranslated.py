"""Translations that are the original, or most of it."""

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
    found = Verdicts.none(len(field.texts))
    for at in field.compared:
        text, original = field.pair(at)
        plain = text.split()
        there = set(original.split())
        shared = sum(len(word) for word in plain if word in there) / max(1, sum(map(len, plain)))
        if shared < HOPEFUL * config.max_copied:
            found.values[at] = shared
            continue
        mine = Counter(WORD.findall(prose(text).casefold()))
        if mine.total() >= config.min_words:
            both = mine & Counter(WORD.findall(prose(original).casefold()))
            found.values[at] = _letters(both) / _letters(mine)
    found.bad[:] = found.values > config.max_copied
    return found


def _letters(words: Counter[str]) -> float:
    return sum(weigh(word) * times for word, times in words.items())
