"""MinHash: texts that share most of their runs of words share most of a sketch (Broder 1997), in NumPy.

An item is a question and a passage, with a sketch each: many questions on one passage are not the same item, and one
question with two answers is not either. Only candidates are compared: items with an equal band, which is half of the
question's sketch and half of the passage's. Of pairs whose questions and passages both have Jaccard similarity s a
share 1 - (1 - s^8)^16 become candidates: 0.95 at 0.8, 0.9999 at 0.9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from hbt_ray.cleaning.hashing import runs, tokens
from hbt_ray.languages import unspaced

NUM_BANDS, ROWS_A_BAND = 16, 8
QUESTION_HASHES, PASSAGE_HASHES = 64, 128
NUM_HASHES = QUESTION_HASHES + PASSAGE_HASHES
"""Bytes of an item's sketch: its question's, then its passage's."""
RUN_WORDS, RUN_CHARS = 3, 6
NO_WORDS = np.uint64(0)
"""Band of an item without a word."""
EMPTY = np.uint64(2**64 - 1)
"""Least value over no shingles; that over some is below 2^32."""
_RNG = np.random.default_rng(20240810)
_FACTORS = _RNG.integers(0, 2**63, PASSAGE_HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFTS = _RNG.integers(0, 2**63, PASSAGE_HASHES, dtype=np.uint64)


def shingles(text: str, lang: str) -> np.ndarray:
    """uint64 [n]: distinct runs of three words, or of six characters where words are not written apart.

    A text too short for one is the run of all it has.
    """
    sequence = tokens(text, lang)
    length = RUN_CHARS if unspaced(lang) else RUN_WORDS
    return np.unique(runs(sequence, min(length, max(1, len(sequence)))))


def sketches(questions: Sequence[str], passages: Sequence[str], langs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sketches of items, each from its question and its passage in one language.

    Returns:
        uint8 [n, NUM_HASHES], one byte of each least value, of which items share the more the more alike they are; and
        uint64 [n, NUM_BANDS], of which items must share one to be compared.
    """
    question, passage = least_values(questions, langs, QUESTION_HASHES), least_values(passages, langs, PASSAGE_HASHES)
    half = (len(langs), NUM_BANDS, ROWS_A_BAND // 2)
    banded = np.concatenate([part[:, : half[1] * half[2]].reshape(half) for part in (question, passage)], axis=2)
    keys = runs(banded.reshape(-1), ROWS_A_BAND)[::ROWS_A_BAND].reshape(half[:2])
    keys[(question[:, 0] == EMPTY) & (passage[:, 0] == EMPTY)] = NO_WORDS
    return (np.concatenate([question, passage], axis=1) & np.uint64(255)).astype(np.uint8), keys


def least_values(texts: Sequence[str], langs: Sequence[str], num_hashes: int) -> np.ndarray:
    """uint64 [n, num_hashes]: the least value of each hash function over the shingles of each text."""
    sets = [shingles(text, lang) for text, lang in zip(texts, langs, strict=True)]
    filled = np.flatnonzero([len(shingled) for shingled in sets])
    least = np.full((len(sets), num_hashes), EMPTY)
    if len(filled):
        flat = np.concatenate([sets[item] for item in filled])
        starts = np.r_[0, np.cumsum([len(sets[item]) for item in filled])[:-1]]
        for number in range(num_hashes):
            hashed = (flat * _FACTORS[number] + _SHIFTS[number]) >> np.uint64(32)
            least[filled, number] = np.minimum.reduceat(hashed, starts)
    return least


def within(keys: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Bands, uint64 [n, NUM_BANDS], that only items of the same group, uint64 [n], share."""
    pairs = np.stack([keys, np.broadcast_to(groups[:, None], keys.shape)], axis=-1)
    return np.where(keys == NO_WORDS, NO_WORDS, runs(pairs.reshape(-1), 2)[::2].reshape(keys.shape))


def candidates(bands: Iterable[np.ndarray]) -> np.ndarray:
    """int64 [m, 2], sorted: pairs (later, earlier) of items of which the earlier is the first with the same band.

    Args:
        bands: uint64 [n], the keys of all items in one band; one band at a time is held.
    """
    pairs = [np.zeros((0, 2), np.int64)]
    for keys in bands:
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        first = np.r_[True, ordered[1:] != ordered[:-1]][: len(order)]
        heads = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
        same = ~first & (ordered != NO_WORDS)
        pairs.append(np.stack([order[same], heads[same]], axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def similarity_of(a: np.ndarray, b: np.ndarray) -> float:
    """Estimated Jaccard similarity of two items, uint8 [NUM_HASHES]: of the questions or the passages, the lesser."""
    same = a == b
    agreeing = min(float(np.mean(same[:QUESTION_HASHES])), float(np.mean(same[QUESTION_HASHES:])))
    return (agreeing - 1 / 256) / (1 - 1 / 256)  # less the bytes that agree by chance


def confirm(pairs: np.ndarray, sketch_of: Callable[[int], np.ndarray], threshold: float) -> dict[int, int]:
    """Item -> the earlier item that it is nearly the same as.

    Args:
        pairs: of `candidates`.
        sketch_of: gives the sketch of an item.
        threshold: least similarity; what an item is the same as is not itself a duplicate.
    """
    earlier_of: dict[int, int] = {}
    for later, earlier in pairs.tolist():
        if later in earlier_of or earlier in earlier_of:
            continue
        if similarity_of(sketch_of(later), sketch_of(earlier)) >= threshold:
            earlier_of[later] = earlier
    return earlier_of
