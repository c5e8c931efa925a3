"""Texts in one language to texts in another: sentences, batches by length, and everything put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hbt_ray.config import TranslateConfig
from hbt_ray.corpus.translation.codec import Codec
from hbt_ray.corpus.translation.convert import TOKENIZER
from hbt_ray.corpus.translation.engines import ENGINES, Engine
from hbt_ray.corpus.translation.sentences import Part, join_parts, shorten, split_text

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


class Translator:
    """A model with its tokenizer; results depend on nothing but the texts given at once and the settings."""

    def __init__(self, codec: Codec, engine: Engine, config: TranslateConfig, source_lang: str) -> None:
        self._codec = codec
        self._engine = engine
        self._config = config
        self._source = source_lang
        self.limit = min(config.max_sentence_tokens, codec.max_tokens)

    def __call__(self, texts: Sequence[str], lang: str) -> Translations:
        """Translate texts to `lang` (a canonical tag that the model has)."""
        encoded: dict[str, list[int]] = {}
        parts = [self.parts(text, lang, encoded) for text in texts]
        sentences = list(dict.fromkeys(part.text for own in parts for part in own if part.kind == "sentence"))
        done: dict[str, tuple[str, bool]] = {}
        num_tokens = num_new = 0
        for batch in batches([len(encoded[sentence]) for sentence in sentences], self._config.token_budget):
            rows = [encoded[sentences[at]] for at in batch]
            outputs = self._engine(rows, self._codec.prefix(lang), self._max_new(max(map(len, rows))))
            for at, row, output in zip(batch, rows, outputs, strict=True):
                done[sentences[at]] = (self._codec.decode(output.ids), output.cut)
                num_tokens += len(row)
                num_new += len(output.ids)
        own = [[done[part.text] for part in row if part.kind == "sentence"] for row in parts]
        return Translations(
            texts=[join_parts(row, [text for text, _ in pair], lang) for row, pair in zip(parts, own, strict=True)],
            cut=[sum(cut for _, cut in pair) for pair in own],
            num_tokens=num_tokens,
            num_new_tokens=num_new,
        )

    def parts(self, text: str, lang: str, encoded: dict[str, list[int]]) -> list[Part]:
        """The parts of a text, no sentence longer than the limit; `encoded` gets the tokens of what it lacks."""
        parts = split_text(text, self._source)
        fresh = list({part.text for part in parts if part.kind == "sentence"} - encoded.keys())
        encoded.update(zip(fresh, self._codec.encode(fresh, lang), strict=True))

        def num_tokens(sentence: str) -> int:
            if sentence not in encoded:
                encoded[sentence] = self._codec.encode([sentence], lang)[0]
            return len(encoded[sentence])

        parts = shorten(parts, num_tokens, self.limit)
        for part in parts:  # pieces lost the blanks at their edges
            if part.kind == "sentence":
                num_tokens(part.text)
        return parts

    def _max_new(self, num_tokens: int) -> int:
        """Tokens to write at most for a sentence of `num_tokens`; positions end two before the model's limit."""
        return min(int(MIN_NEW + self._config.max_output_ratio * num_tokens), self._codec.max_tokens - 2)


@dataclass(frozen=True, kw_only=True)
class TranslatorSpec:
    """A translator by its directories and settings, from which any process makes the same one."""

    name: str
    """Of the model, as in the recipe."""
    directory: str
    """The model's files; for CTranslate2 what `convert_model` made. The same on every node."""
    config: TranslateConfig
    source_lang: str
    """Canonical tag."""

    def load(self, device: str, threads: int) -> Translator:
        """The translator, on `device` ("cpu" or "cuda"); ConfigError where the model does not load."""
        codec = self.codec()
        engine = ENGINES[self.config.engine](codec, self.directory, self.config, device, threads)
        return Translator(codec, engine, self.config, self.source_lang)

    def codec(self) -> Codec:
        """The tokenizer alone."""
        inner = TOKENIZER if self.config.engine == "ctranslate2" else ""
        return Codec(self.name, str(Path(self.directory) / inner), self.source_lang)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places of rows, longest first, so that rows x longest row is at most `budget` (a longer row is alone)."""
    order = sorted(range(len(lengths)), key=lambda at: (-lengths[at], at))
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


LoadTranslator = Callable[[str], Translator]
"""Target language -> its translator."""
