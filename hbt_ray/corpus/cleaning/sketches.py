"""MinHash: texts that share most of their runs of words share most of a sketch (Broder 1997), in NumPy.

Only candidates are compared: texts with an equal band of the sketch. Of pairs with Jaccard similarity s a share
1 - (1 - s^8)^16 become candidates: 0.95 at 0.8, 0.9999 at 0.9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from hbt_ray.corpus.cleaning.hashing import runs, tokens, unspaced

NUM_BANDS, ROWS_A_BAND = 16, 8
NUM_HASHES = NUM_BANDS * ROWS_A_BAND
RUN_WORDS, RUN_CHARS = 3, 6
NO_WORDS = np.uint64(0)
"""Band of a text without a word."""
_RNG = np.random.default_rng(20240810)
_FACTORS = _RNG.integers(0, 2**63, NUM_HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFTS = _RNG.integers(0, 2**63, NUM_HASHES, dtype=np.uint64)


def shingles(text: str, lang: str) -> np.ndarray:
    """uint64 [n]: distinct runs of three words, or of six characters where words are not written apart.

    A text too short for one is the run of all it has.
    """
    sequence = tokens(text, lang)
    length = RUN_CHARS if unspaced(lang) else RUN_WORDS
    return np.unique(runs(sequence, min(length, max(1, len(sequence)))))


def sketches(texts: Sequence[str], langs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The least value of each hash function over the shingles of each text: one byte of each, and bands of them whole.

    Returns:
        uint8 [n, NUM_HASHES], of which texts share the more the more alike they are, and uint64 [n, NUM_BANDS], of
        which texts must share one to be compared. Both are 0 for texts without a word.
    """
    sets = [shingles(text, lang) for text, lang in zip(texts, langs, strict=True)]
    filled = np.flatnonzero([len(found) for found in sets])
    least = np.zeros((len(sets), NUM_HASHES), np.uint64)
    if len(filled):
        flat = np.concatenate([sets[at] for at in filled])
        starts = np.r_[0, np.cumsum([len(sets[at]) for at in filled])[:-1]]
        for number in range(NUM_HASHES):
            hashed = (flat * _FACTORS[number] + _SHIFTS[number]) >> np.uint64(32)
            least[filled, number] = np.minimum.reduceat(hashed, starts)
    keys = runs(least.reshape(-1), ROWS_A_BAND)[::ROWS_A_BAND].reshape(len(sets), NUM_BANDS)
    keys[[not len(found) for found in sets]] = NO_WORDS
    return (least & np.uint64(255)).astype(np.uint8), keys


def within(keys: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Bands, uint64 [n, NUM_BANDS], that only texts of the same group, uint64 [n], share."""
    pairs = np.stack([keys, np.broadcast_to(groups[:, None], keys.shape)], axis=-1)
    return np.where(keys == NO_WORDS, NO_WORDS, runs(pairs.reshape(-1), 2)[::2].reshape(keys.shape))


def candidates(bands: Iterable[np.ndarray]) -> np.ndarray:
    """int64 [m, 2], sorted: pairs (later, earlier) of texts of which the earlier is the first with the same band.

    Args:
        bands: uint64 [n], the keys of all texts in one band; one band at a time is held.
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
    """Estimated Jaccard similarity of two sketches, uint8 [NUM_HASHES]; bytes that agree by chance are taken off."""
    return float((np.mean(a == b) - 1 / 256) / (1 - 1 / 256))


def confirm(pairs: np.ndarray, sketch_of: Callable[[int], np.ndarray], threshold: float) -> dict[int, int]:
    """Text -> the earlier text that it is nearly the same as.

    Args:
        pairs: of `candidates`.
        sketch_of: gives the sketch of a text.
        threshold: least similarity; what a text is the same as is not itself a duplicate.
    """
    found: dict[int, int] = {}
    for later, earlier in pairs.tolist():
        if later in found or earlier in found:
            continue
        if similarity_of(sketch_of(later), sketch_of(earlier)) >= threshold:
            found[later] = earlier
    return found
