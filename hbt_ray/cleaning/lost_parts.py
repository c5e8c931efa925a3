"""Numbers, addresses and identifiers, which a translation must keep as they are.

Measure: the share of the original's that the text lacks. Threshold: above `clean.max_lost_numbers` and
`clean.max_lost_entities`. Requirement: an original with at least `clean.min_kept` of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from hbt_ray.cleaning.numerals import Number, han_numbers, numbers_of
from hbt_ray.cleaning.texts import ADDRESS, Field, Verdicts
from hbt_ray.config.clean import CleanConfig

Kept = TypeVar("Kept")
"""A part that must be kept."""
YEARS = range(1000, 2200)
CALENDARS = (543, -621, -622, -579, -580)
"""Years of the Thai, Persian and Islamic calendars against the Gregorian, which translations may have instead."""
FOOTNOTE = re.compile(r"\[(?:n |note )?\d{1,3}\]")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9]*(?:_[A-Za-z0-9]+|(?<=[a-z])[A-Z][A-Za-z0-9]*|::\w+|\(\))+", re.ASCII)


def numbers(field: Field, config: CleanConfig) -> Verdicts:
    """Share of the original's numbers (two digits or more) that the text lacks, whatever digits it writes them in.

    The marks of footnotes, `[16]` or `[n 12]`, say nothing, and translations leave them out.
    """

    def demanded(original: str) -> set[Number]:
        return numbers_of(FOOTNOTE.sub(" ", original))

    return _lost(field, config.min_kept, config.max_lost_numbers, demanded, _lost_numbers)


def entities(field: Field, config: CleanConfig) -> Verdicts:
    """Share of the original's addresses and identifiers that the text lacks, less those that it has instead.

    People rename the parameters of a function when they translate its page; programs lose them.
    """
    return _lost(field, config.min_kept, config.max_lost_entities, entities_of, _lost_entities)


def entities_of(text: str) -> set[str]:
    """Addresses, and names that only programs have (snake_case, camelCase, calls)."""
    addresses = ADDRESS.findall(text) if "@" in text or "/" in text or "www." in text.lower() else []
    rest = ADDRESS.sub(" ", text) if addresses else text
    return {name.rstrip(".,;:/") for name in addresses} | set(IDENTIFIER.findall(rest))


def _lost(
    field: Field,
    least: int,
    limit: float,
    find: Callable[[str], set[Kept]],
    num_lost: Callable[[set[Kept], str], int],
) -> Verdicts:
    """Share of what `find` finds in the original that `num_lost` does not find in the text."""
    verdicts = Verdicts.none(len(field.texts))
    originals: dict[str, set[Kept]] = {}  # an item has many translations
    for row in field.compared:
        text, original = field.pair(row)
        if original not in originals:
            originals[original] = find(original)
        wanted = originals[original]
        if len(wanted) >= least:
            verdicts.values[row] = num_lost(wanted, text) / len(wanted)
    verdicts.bad[:] = verdicts.values > limit
    return verdicts


def _lost_entities(wanted: set[str], text: str) -> int:
    mine = entities_of(text)
    return max(0, len(wanted - mine) - len(mine - wanted))


def _lost_numbers(wanted: set[Number], text: str) -> int:
    """How many numbers of the original have no matching reading in the text, whose numbers count in all of theirs."""
    there = numbers_of(text)
    missing = wanted - there
    if not missing:
        return 0
    mine = {number for readings in there for reading in readings for number in reading} | han_numbers(text)
    return sum(not any(all(_among(n, mine) for n in reading) for reading in readings) for readings in missing)


def _among(number: str, mine: set[str]) -> bool:
    """Whether a number is there, or another form of it."""
    if number in mine or any(other.startswith(number) or number.startswith(other) for other in mine):
        return True  # 1.50 and 1.5, 12,5 million and 12500000
    if not (len(number) == 4 and int(number) in YEARS):
        return False
    return any(str(int(number) + shift) in mine for shift in CALENDARS)
