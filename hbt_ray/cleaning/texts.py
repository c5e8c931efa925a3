"""The input of rules: one column of texts beside their originals, and the prose of a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]、。，]+|[\w.+-]+@[\w-]+\.[a-z]{2,}", re.IGNORECASE | re.ASCII)
ASCII_RUN = re.compile(r"[!-~]+")
CODE = re.compile(r"[_$\\{}\[\]=<>|@`]|::|->|\(\)|[a-z][A-Z]|\w[/.]\w", re.ASCII)
"""Found inside no word: underscores, brackets, a capital after a small letter, a dot or a slash between letters."""

QUOTED = re.compile(r'"[^"\n]{3,200}"|“[^”\n]{3,200}”|«[^»\n]{3,200}»|„[^“”\n]{3,200}[“”]|「[^」\n]{3,200}」')
"""Quotations may stay as they are: messages, titles, names."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """Questions or passages, with the original of each where there is one."""

    name: str
    """`question` or `passage`."""
    langs: list[str]
    """Language of each text, [n]."""
    texts: list[str]
    originals: list[str | None]
    """The text of the same item in the reference language; None for its own and where the item lacks it."""

    @cached_property
    def compared(self) -> np.ndarray:
        """int [m]: the texts that have an original."""
        return np.flatnonzero([original is not None for original in self.originals])

    def pair(self, at: int) -> tuple[str, str]:
        """(text, original) of a text that has one."""
        original = self.originals[at]
        assert original is not None
        return self.texts[at], original


@dataclass(frozen=True)
class Verdicts:
    """Verdict of a rule on each text."""

    values: np.ndarray
    """Measured values, [n]; NaN where the rule does not apply."""
    bad: np.ndarray
    """bool [n]: rejected."""

    @staticmethod
    def none(num: int) -> Verdicts:
        """Of `num` texts to which the rule does not apply."""
        return Verdicts(np.full(num, np.nan), np.zeros(num, bool))


def base_lang(code: str) -> str:
    """`zh-Hant` -> `zh`."""
    return code.partition("-")[0]


def prose(text: str) -> str:
    """A text without quotations, addresses, markup and identifiers: the part that must be translated."""
    if not CODE.search(text) and not QUOTED.search(text):
        return text  # most texts, and for these it is all that is done
    return ASCII_RUN.sub(lambda run: " " if CODE.search(run[0]) else run[0], QUOTED.sub(" ", text))
