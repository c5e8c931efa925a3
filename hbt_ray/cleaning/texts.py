"""What rules are given: one column of texts beside their originals, and what of a text is prose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]、。，]+|[\w.+-]+@[\w-]+\.[a-z]{2,}", re.IGNORECASE | re.ASCII)
ASCII_RUN = re.compile(r"[!-~]+")
CODE = re.compile(r"[_$\\{}\[\]=<>|@`]|::|->|\(\)|[a-z][A-Z]|\w[/.]\w", re.ASCII)
"""What no word has inside: underscores, brackets, a capital after a small letter, a dot or a slash between letters."""

QUOTED = re.compile(r'"[^"\n]{3,200}"|“[^”\n]{3,200}”|«[^»\n]{3,200}»|„[^“”\n]{3,200}[“”]|「[^」\n]{3,200}」')
"""What is quoted may stay as it is: messages, titles, names."""


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
    """What a rule says of each text."""

    values: np.ndarray
    """What was measured, [n]; NaN where the rule has nothing to say."""
    bad: np.ndarray
    """bool [n]: rejected."""

    @staticmethod
    def none(num: int) -> Verdicts:
        """Nothing to say of `num` texts."""
        return Verdicts(np.full(num, np.nan), np.zeros(num, bool))


def base_lang(code: str) -> str:
    """`zh-Hant` -> `zh`."""
    return code.partition("-")[0]


def prose(text: str) -> str:
    """A text without quotations, addresses, markup and identifiers: what is left is there to be translated."""
    if not CODE.search(text) and not QUOTED.search(text):
        return text  # most texts, and for these it is all that is done
    return ASCII_RUN.sub(lambda run: " " if CODE.search(run[0]) else run[0], QUOTED.sub(" ", text))
