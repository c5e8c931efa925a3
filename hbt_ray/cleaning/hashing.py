"""Texts as sequences of 64-bit numbers, and runs of them: what duplicates and contamination are found by."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

import numpy as np

from hbt_ray.languages import unspaced

MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M")
TOKEN = re.compile(rf"[\w{MARKS}]+")
"""Letters, digits and the marks on them, which are vowels in many scripts and which `\\w` leaves out."""
PRIME = 0x9E3779B97F4A7C15
"""Odd, with bits spread evenly: runs are polynomials in it, modulo 2^64."""


def normalise(text: str) -> str:
    """Compatibility forms, small letters, and one space where there is neither letter nor digit."""
    return " ".join(TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()))


def tokens(text: str, lang: str) -> np.ndarray:
    """uint64 [n]: hashes of the words of a text, or of its characters where words are not written apart."""
    words = TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
    if unspaced(lang):
        codes = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32).astype(np.uint64)
        return _mix(codes)
    return np.array([_word(word) for word in words], np.uint64)


def runs(sequence: np.ndarray, length: int) -> np.ndarray:
    """uint64 [max(0, n - length + 1)]: hashes of all runs of `length` tokens."""
    num = len(sequence) - length + 1
    if num <= 0:
        return np.zeros(0, np.uint64)
    hashes = np.zeros(num, np.uint64)
    for start in range(length):
        hashes *= np.uint64(PRIME)
        hashes += sequence[start : start + num]
    return _mix(hashes)


def _mix(values: np.ndarray) -> np.ndarray:
    """Bits of each value spread over all (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


@lru_cache(maxsize=1 << 16)
def _word(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
