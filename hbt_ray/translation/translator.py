"""Texts in one language to texts in another: sentences, batches by length, and everything put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hbt_ray.config import TranslateConfig
from hbt_ray.translation.sentences import Part, join_parts, shorten, split_text

if TYPE_CHECKING:  # the libraries of models take seconds to import, and processes that only read rows need none
    from hbt_ray.translation.codec import Codec
    from hbt_ray.translation.engine import Engine

MIN_NEW = 16
"""Tokens that even the shortest sentence may become."""


@dataclass(frozen=True)
class Translations:
    """Texts and what they took."""

    texts: list[str]
    """In the order of the input; empty where the model wrote nothing."""
    cut: list[int]
    """Sentences of each text whose output ran to the limit of its length."""
    num_tokens: int
    """Source tokens that the model read; equal sentences count once."""
    num_new_tokens: int
    """Tokens that it wrote."""


@dataclass(frozen=True, kw_only=True)
class TranslatorSpec:
    """A translator by its directories and settings, from which any process makes the same one."""

    name: str
    """Of the model, as in the recipe."""
    directory: str
    """The model's own files, or those that `convert_model` made of them. The same on every node."""
    fingerprint: str
    """Of the model's own files."""
    config: TranslateConfig
    source_lang: str
    """Canonical tag."""

    def load(self, device: str, threads: int) -> Translator:
        """The translator of a converted model, on `device` ("cpu" or "cuda").

        Raises:
            ConfigError: the model does not load, or the device does not compute in the precision.
        """
        from hbt_ray.translation.codec import Codec
        from hbt_ray.translation.convert import TOKENIZER
        from hbt_ray.translation.engine import CTranslate2Engine

        codec = Codec(self.name, str(Path(self.directory) / TOKENIZER), self.source_lang)
        engine = CTranslate2Engine(codec, self.directory, self.config, device, threads)
        return Translator(codec, engine, self.config, self.source_lang)


class Splitter:
    """Cuts texts into the sentences that one model reads."""

    def __init__(self, codec: Codec, config: TranslateConfig, source_lang: str) -> None:
        self._codec = codec
        self._source = source_lang
        self.limit = min(config.max_sentence_tokens, codec.max_tokens)

    def __call__(self, texts: Sequence[str], lang: str) -> tuple[list[list[Part]], dict[str, list[int]]]:
        """The parts of each text, no sentence longer than the limit, and the token ids of their sentences."""
        parts = [split_text(text, self._source) for text in texts]
        encoded: dict[str, list[int]] = {}

        def encode(rows: list[list[Part]]) -> None:
            fresh = {part.text: None for row in rows for part in row if part.kind == "sentence"}.keys() - encoded.keys()
            ordered = sorted(fresh)
            encoded.update(zip(ordered, self._codec.encode(ordered, lang), strict=True))

        def num_tokens(sentence: str) -> int:
            if sentence not in encoded:
                encoded[sentence] = self._codec.encode([sentence], lang)[0]
            return len(encoded[sentence])

        encode(parts)
        parts = [shorten(row, num_tokens, self.limit) for row in parts]
        encode(parts)  # pieces lost the blanks at their edges
        kept = dict.fromkeys(part.text for row in parts for part in row if part.kind == "sentence")
        return parts, {sentence: encoded[sentence] for sentence in kept}

    def num_tokens(self, texts: Sequence[str], lang: str) -> int:
        """Source tokens that the model reads for these texts, equal sentences once."""
        return sum(map(len, self(texts, lang)[1].values()))


class Translator:
    """A model with its tokenizer; results depend on nothing but the texts given at once and the settings."""

    def __init__(self, codec: Codec, engine: Engine, config: TranslateConfig, source_lang: str) -> None:
        self._codec = codec
        self._engine = engine
        self._config = config
        self.split = Splitter(codec, config, source_lang)

    def __call__(self, texts: Sequence[str], lang: str) -> Translations:
        """Translate texts to `lang` (a canonical tag that the model has)."""
        parts, encoded = self.split(texts, lang)
        sentences = list(encoded)
        done: dict[str, tuple[str, bool]] = {}
        num_new = 0
        for batch in batches([len(encoded[sentence]) for sentence in sentences], self._config.token_budget):
            rows = [encoded[sentences[place]] for place in batch]
            outputs = self._engine(rows, self._codec.prefix(lang), self._max_new(max(map(len, rows))))
            for place, output in zip(batch, outputs, strict=True):
                done[sentences[place]] = (self._codec.decode(output.ids), output.cut)
                num_new += len(output.ids)
        translated = [[done[part.text] for part in row if part.kind == "sentence"] for row in parts]
        return Translations(
            texts=[
                join_parts(row, [text for text, _ in pair], lang) for row, pair in zip(parts, translated, strict=True)
            ],
            cut=[sum(cut for _, cut in pair) for pair in translated],
            num_tokens=sum(map(len, encoded.values())),
            num_new_tokens=num_new,
        )

    def _max_new(self, num_tokens: int) -> int:
        """Tokens to write at most for a sentence of `num_tokens`; positions end two before the model's limit."""
        return min(int(MIN_NEW + self._config.max_output_ratio * num_tokens), self._codec.max_tokens - 2)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places of rows, longest first, so that rows x longest row is at most `budget` (a longer row is alone)."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size
