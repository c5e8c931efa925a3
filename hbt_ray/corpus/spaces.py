"""Where languages write spaces, as their scripts say: one list for all that cuts texts or joins them."""

from __future__ import annotations

from hbt_ray.languages import script_of

TOUCHING = frozenset({"Hans", "Hant", "Hani", "Jpan", "Hira", "Kana", "Bopo", "Yiii"})
"""Scripts with nothing between two sentences either."""
UNSPACED = TOUCHING | {"Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Lana", "Tale", "Talu", "Tavt"}
"""Scripts without spaces between words: all of Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan."""


def unspaced(lang: str) -> bool:
    """Whether a language (BCP-47) is written without spaces between words; `zh-Latn` is not."""
    return script_of(lang) in UNSPACED


def touching(lang: str) -> bool:
    """Whether a language (BCP-47) has nothing between two sentences."""
    return script_of(lang) in TOUCHING
