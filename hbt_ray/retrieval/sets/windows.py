"""Long documents as overlapping windows of words; a document scores as the best of its windows."""

import re
from dataclasses import dataclass

from hbt_ray.errors import EvaluationError

# Thai, Lao, Burmese, Khmer, kana and Chinese characters: scripts that put no spaces between words.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")
"""A run without spaces, or one character of a script that has none."""


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """Windows of `words` words, each beginning `words - overlap` after the one before."""

    words: int = 200
    """Words in a window; a character counts as a word in scripts without spaces."""
    overlap: int = 50
    """Words that a window shares with the next."""

    def __post_init__(self) -> None:
        if self.words < 1 or not 0 <= self.overlap < self.words:
            raise EvaluationError(
                f"windows of {self.words} words with an overlap of {self.overlap} cannot be cut; "
                "words must be 1 or more, and the overlap from 0 to words - 1."
            )

    def note(self, num_passages: int, num_windows: int) -> str:
        """How the documents were read, for the notes of a set."""
        return (
            f"{num_passages} documents are read in {num_windows} windows of {self.words} words, "
            f"overlapping by {self.overlap}; a document scores as its best window."
        )


def windows(text: str, chunking: Chunking) -> list[str]:
    """The windows of `text`, as they stand in it; at least one, and none inside the one before."""
    words = [match.span() for match in WORD.finditer(text)]
    stride = chunking.words - chunking.overlap
    last = max(len(words) - chunking.overlap, 1)
    spans = [words[first : first + chunking.words] for first in range(0, last, stride)]
    return [text[span[0][0] : span[-1][1]] if span else "" for span in spans]


def window_texts(title: str, text: str, chunking: Chunking) -> list[str]:
    """The windows of a document, each after the document's title."""
    return [f"{title} {window}".strip() for window in windows(text, chunking)]
