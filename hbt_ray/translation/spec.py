"""A translator by name: light enough for processes that only read rows, and makes one where it is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hbt_ray.config import TranslateConfig

if TYPE_CHECKING:  # the libraries of models take seconds to import
    from hbt_ray.translation.codec import Codec
    from hbt_ray.translation.translator import Translator

TOKENIZER: Final = "tokenizer"
"""Where a converted model has the files of its tokenizer."""


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
        from hbt_ray.translation.engines import ENGINES
        from hbt_ray.translation.translator import Translator

        codec = self.codec()
        engine = ENGINES[self.config.engine](codec, self.directory, self.config, device, threads)
        return Translator(codec, engine, self.config, self.source_lang)

    def codec(self) -> Codec:
        """The tokenizer alone."""
        from hbt_ray.translation.codec import Codec

        inner = TOKENIZER if self.config.engine == "ctranslate2" else ""
        return Codec(self.name, str(Path(self.directory) / inner), self.source_lang)
