"""How numbers, and pieces of sentences, are written in every report, table and message."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from hbt_ray.config.headline import METRICS

Level = Literal["good", "fair", "poor", "plain"]

NUM_NAMED = 4
"""Names that a sentence lists before it counts the rest."""


class Statement(NamedTuple):
    """One line of a summary; its level gives the colour of the topic."""

    topic: str
    level: Level
    text: str


def number(metric: str, value: float) -> str:
    """A headline number with the decimals that its glossary entry has, any other with four; a dash for NaN."""
    return decimals(value, METRICS[metric].digits if metric in METRICS else 4)


def signed(metric: str, value: float) -> str:
    """A difference with its sign; a dash for NaN."""
    return f"{'+' if value > 0 else ''}{number(metric, value)}"


def decimals(value: float, places: int = 3) -> str:
    """So many decimals, never `-0.000`; a dash for NaN."""
    return "–" if np.isnan(value) else f"{round(float(value), places) + 0.0:,.{places}f}"


def p_text(p_value: float) -> str:
    """A p-value to four places, and never as nothing at all; a dash where there was no test."""
    return "< 0.0001" if p_value < 5e-5 else decimals(p_value, 4)


def percent(share: float) -> str:
    """A share with one decimal, below 10% with two."""
    return f"{share:.2%}" if share < 0.1 else f"{share:.1%}"


def share(value: float) -> str:
    """A share with one decimal, never `-0.0%`; a dash for NaN."""
    return "–" if np.isnan(value) else f"{round(float(value), 3) + 0.0:.1%}"


def count(value: int) -> str:
    """`1,234`."""
    return f"{value:,}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def some(names: Sequence[str]) -> str:
    """`a, b, c, d and 7 others`: the first `NUM_NAMED`, and how many there are besides."""
    rest = len(names) - NUM_NAMED
    return listed(names) if rest < 2 else listed([*names[:NUM_NAMED], f"{rest} others"])


def capital(sentence: str) -> str:
    """With a capital first letter."""
    return sentence[0].upper() + sentence[1:]


def lower(sentence: str) -> str:
    """With a small first letter, to stand inside another sentence; `R@1` and `X-X` stay."""
    return sentence[0].lower() + sentence[1:] if sentence[1:2].islower() else sentence
