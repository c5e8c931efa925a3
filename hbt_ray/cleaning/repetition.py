"""Texts that say the same again and again, as translation models do when they fall into a loop.

Measure: the compression ratio of zlib. Threshold: above `OVER_ORIGINAL` times that of the original, and above
`clean.max_repetition`. Requirement: `MIN_CHARS` characters.
"""

from __future__ import annotations

import zlib

import numpy as np

from hbt_ray.cleaning.texts import Field, Verdicts
from hbt_ray.config.clean import CleanConfig

MIN_CHARS = 60
"""Shorter texts hold too little to repeat."""
OVER_ORIGINAL = 1.5
"""A translation may repeat as much as its original and half as much again; a text without one, than the limit: lists of
constants and doses, written by people, repeat that much."""
LEVEL = 1


def repetition(field: Field, config: CleanConfig) -> Verdicts:
    """How many times smaller a text gets when it is compressed; that of the original counts against it."""
    verdicts = Verdicts.none(len(field.texts))
    for row, text in enumerate(field.texts):
        if len(text) < MIN_CHARS:
            continue
        verdicts.values[row] = compression(text)
        if verdicts.values[row] > config.max_repetition:
            original = field.originals[row]
            known = original is not None and len(original) >= MIN_CHARS
            usual = compression(original or "") if known else config.max_repetition
            verdicts.bad[row] = verdicts.values[row] > OVER_ORIGINAL * usual
    return verdicts


def compression(text: str) -> float:
    """Characters over compressed bytes. Each character is its code modulo 256, so that all alphabets weigh the same."""
    data = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint8).tobytes()
    return len(data) / len(zlib.compress(data, LEVEL))
