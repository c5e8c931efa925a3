"""Damage that translation does to markup, and tokens of models that got into texts.

Measure: the share of the original's tags that the text lacks. Threshold: above `clean.max_lost_tags`, or anything
broken that the original does not have. Requirement: none for what is broken; for tags an original with `MIN_TAGS`.
"""

from __future__ import annotations

import re
from collections import Counter

from hbt_ray.cleaning.texts import Field, Verdicts
from hbt_ray.config.clean import CleanConfig

BROKEN = re.compile(r"\ufffd|<unk>|\u2581|⁇|<pad>|</s>|&amp;(?:amp|lt|gt|quot|#\d+);|&\s+(?:amp|lt|gt|quot|nbsp)\s*;")
"""Found in no sound text: undecodable bytes, tokens of sequence models, entities escaped twice or torn apart."""
TAG = re.compile(r"</?[A-Za-z][\w.:-]*(?:\s[^<>]*)?/?>|\{\{?\w*\}?\}|%(?:\(\w+\))?[sd](?!\w)")
NAME = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*")
MIN_TAGS = 3
"""Tags and placeholders that an original must have for their loss to count."""


def markup(field: Field, config: CleanConfig) -> Verdicts:
    """Share of the original's tags and placeholders that the text lacks; above 1 where a text is broken in itself."""
    verdicts = Verdicts.none(len(field.texts))
    for row, text in enumerate(field.texts):
        original = field.originals[row]
        broken = len(BROKEN.findall(text)) if BROKEN.search(text) else 0
        if broken > (len(BROKEN.findall(original)) if original else 0):
            verdicts.values[row], verdicts.bad[row] = 1.0 + broken, True
        elif original and ("<" in original or "{" in original or "%" in original):
            wanted = _tags(original)
            if wanted.total() >= MIN_TAGS:
                verdicts.values[row] = (wanted - _tags(text)).total() / wanted.total()
                verdicts.bad[row] = verdicts.values[row] > config.max_lost_tags
    return verdicts


def _tags(text: str) -> Counter[str]:
    """Tags without their attributes, and placeholders."""
    return Counter(NAME.match(tag)[0].lower() if tag[0] == "<" else tag for tag in TAG.findall(text))  # type: ignore[index]
