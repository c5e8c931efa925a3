"""Texts as sentences and what stands between them, so that a text can be translated sentence by sentence.

sentencex (Wikimedia) finds the sentences of a line: about 300 languages with their marks and abbreviations, and
every character of the line comes back. Lines are kept apart here, for it runs over single line breaks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import sentencex

from hbt_ray.languages import touching

_BREAK = re.compile(r"(\s*\n\s*)")
_EDGES = re.compile(r"^(\s*)(.*?)(\s*)$", re.DOTALL)
_CLAUSE = re.compile(r"[,;:、，；：،؛·—–](?:\s+|(?<=[、，；：]))|\s+[-–—]\s+")
_SPACE = re.compile(r"\s+")

Kind = Literal["sentence", "gap", "kept"]


@dataclass(frozen=True)
class Part:
    """A piece of a text; the parts of a text, put together, are the text."""

    text: str
    kind: Kind
    """`sentence`: to be translated; `gap`: between two sentences; `kept`: line breaks, indents, what has no letters."""


def split_text(text: str, lang: str) -> list[Part]:
    """The parts of a text in `lang` (BCP-47); their texts joined are `text`.

    A piece without a letter of any script (a rule, a number, a formula of digits) is kept, not translated.
    """
    parts: list[Part] = []
    base = lang.split("-")[0]
    for number, line in enumerate(_BREAK.split(text)):
        if number % 2:
            parts.append(Part(line, "kept"))
            continue
        lead, inner, tail = _edges(line)
        if lead:
            parts.append(Part(lead, "kept"))
        for place, sentence in enumerate(sentencex.segment(base, inner) if inner else ()):
            before, words, after = _edges(sentence)
            if before or (place and parts[-1].kind != "gap"):  # an empty gap: the target may want a space there
                parts.append(Part(before, "gap"))
            if words:
                parts.append(Part(words, "sentence" if _has_letter(words) else "kept"))
            if after:
                parts.append(Part(after, "gap"))
        if tail:
            parts.append(Part(tail, "kept"))
    return parts


def join_parts(parts: Sequence[Part], translations: Sequence[str], lang: str) -> str:
    """The text in `lang` of a text's parts: `translations` are of its sentences, in order.

    Sentences are put as `lang` writes them: a space between two, or nothing. Breaks, indents and what was kept stay.
    """
    left = iter(translations)
    space = "" if touching(lang) else " "
    out: list[str] = []
    gap = False
    for part in parts:
        if part.kind == "gap":
            gap = True
            continue
        text = next(left).strip() if part.kind == "sentence" else part.text
        if not text:
            continue
        if gap and out and not out[-1][-1].isspace() and not text[0].isspace():
            out.append(space)
        out.append(text)
        gap = False
    return "".join(piece for piece in out if piece)


def shorten(parts: Sequence[Part], num_tokens: Callable[[str], int], limit: int) -> list[Part]:
    """The same parts with sentences of more than `limit` tokens cut by `split_long`, gaps between the pieces."""
    out: list[Part] = []
    for part in parts:
        if part.kind != "sentence" or num_tokens(part.text) <= limit:
            out.append(part)
            continue
        for place, piece in enumerate(split_long(part.text, num_tokens, limit)):
            before, words, after = _edges(piece)
            if place:
                out.append(Part(before, "gap"))
            if words:
                out.append(Part(words, "sentence" if _has_letter(words) else "kept"))
            if after:
                out.append(Part(after, "gap"))
    return out


def split_long(sentence: str, num_tokens: Callable[[str], int], limit: int) -> list[str]:
    """Pieces of at most `limit` tokens that together are `sentence`: cut at a mark, else a space, else between letters.

    Each cut is at the place nearest to the middle, in the middle half where there is one. A single character may have
    more tokens than `limit`; it is a piece of its own.
    """
    if len(sentence) < 2 or num_tokens(sentence) <= limit:
        return [sentence]
    cut = _cut(sentence)
    return [*split_long(sentence[:cut], num_tokens, limit), *split_long(sentence[cut:], num_tokens, limit)]


def _cut(sentence: str) -> int:
    """Where to cut: above 0 and below the length."""
    middle = len(sentence) / 2
    for pattern in (_CLAUSE, _SPACE):
        ends = [m.end() for m in pattern.finditer(sentence) if len(sentence) / 4 <= m.end() <= len(sentence) * 3 / 4]
        if ends:
            return min(ends, key=lambda end: abs(end - middle))
    cut = len(sentence) // 2
    while cut > 1 and unicodedata.category(sentence[cut])[0] == "M":  # a vowel sign stays with its letter
        cut -= 1
    return cut


def _edges(text: str) -> tuple[str, str, str]:
    """Leading blanks, what is between, trailing blanks."""
    edges = _EDGES.match(text)
    assert edges is not None, "the pattern matches every string"
    return edges[1], edges[2], edges[3]


def _has_letter(text: str) -> bool:
    return any(unicodedata.category(char)[0] == "L" for char in text)
