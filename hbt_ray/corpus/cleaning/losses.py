"""What has to survive translation as it is: numbers, addresses and identifiers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from hbt_ray.config.clean import CleanConfig
from hbt_ray.corpus.cleaning.texts import ADDRESS, Field, Verdicts

NUMBER = re.compile(r"\d+(?:[.,٫٬’']\d+)*")
SEPARATORS = re.compile(r"\D")
YEARS = range(1000, 2200)
CALENDARS = (543, -621, -622, -579, -580)
"""Years of the Thai, Persian and Islamic calendars against the Gregorian, which translations may have instead."""
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9]*(?:_[A-Za-z0-9]+|(?<=[a-z])[A-Z][A-Za-z0-9]*|::\w+|\(\))+", re.ASCII)


def numbers(field: Field, config: CleanConfig) -> Verdicts:
    """Share of the original's numbers (two digits or more) that the text lacks, whatever digits it writes them in."""
    return _lost(field, config.min_kept, config.max_lost_numbers, numbers_of, _numbers_in_other_forms)


def entities(field: Field, config: CleanConfig) -> Verdicts:
    """Share of the original's addresses and identifiers that the text lacks, less those that it has instead.

    People rename the parameters of a function when they translate its page; programs lose them.
    """
    return _lost(field, config.min_kept, config.max_lost_entities, entities_of, lambda wanted, mine: len(mine - wanted))


def numbers_of(text: str) -> set[str]:
    """Numbers with two digits or more, in ASCII digits without separators and leading zeros."""
    found = (SEPARATORS.sub("", _ascii_digits(number)).lstrip("0") for number in NUMBER.findall(text))
    return {number for number in found if len(number) > 1}


def entities_of(text: str) -> set[str]:
    """Addresses, and names that only programs have (snake_case, camelCase, calls)."""
    addresses = ADDRESS.findall(text) if "@" in text or "/" in text or "www." in text.lower() else []
    rest = ADDRESS.sub(" ", text) if addresses else text
    return {name.rstrip(".,;:/") for name in addresses} | set(IDENTIFIER.findall(rest))


def _lost(
    field: Field,
    least: int,
    limit: float,
    find: Callable[[str], set[str]],
    instead: Callable[[set[str], set[str]], int],
) -> Verdicts:
    """Share of what `find` finds in the original and not in the text; `instead` says how many of these are excused."""
    found = Verdicts.none(len(field.texts))
    originals: dict[str, set[str]] = {}  # an item has many translations
    for at in field.compared:
        text, original = field.pair(at)
        if original not in originals:
            originals[original] = find(original)
        wanted = originals[original]
        if len(wanted) >= least:
            mine = find(text)
            missing = len(wanted - mine)
            found.values[at] = max(0, missing - instead(wanted, mine)) / len(wanted) if missing else 0.0
    found.bad[:] = found.values > limit
    return found


def _numbers_in_other_forms(wanted: set[str], mine: set[str]) -> int:
    return sum(_in_other_form(number, mine) for number in wanted - mine)


def _in_other_form(number: str, mine: set[str]) -> bool:
    if any(other.startswith(number) or number.startswith(other) for other in mine):
        return True  # 1.50 and 1.5, 12,5 million and 12500000
    if not (len(number) == 4 and int(number) in YEARS):
        return False
    return any(str(int(number) + shift) in mine for shift in CALENDARS)


def _ascii_digits(text: str) -> str:
    if text.isascii():
        return text
    return "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in text)
