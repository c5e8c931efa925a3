"""The conversion of a model to CTranslate2, once a workspace.

CTranslate2 4.8's converter reads the language tokens of M2M-100 and NLLB from a key that transformers 5 has renamed,
and ends with vocabularies that are too short. `_Converter` hands it a vocabulary that has a token for every row of the
embeddings, through the method that it has for subclasses.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from hbt_ray.errors import ConfigError
from hbt_ray.model.find import FILES, WEIGHTS
from hbt_ray.translation.codec import every_token, load_config, unknown_translator

TOKENIZER: Final = "tokenizer"
"""Where a converted model has the files of its tokenizer."""
DONE: Final = "made_from.json"


def convert_model(name: str, directory: Path, fingerprint: str, precision: str, root: Path) -> Path:
    """The CTranslate2 directory of a model below `root`, made where it is not there yet.

    It is whole by itself: the tokenizer is copied into it, so that nodes need nothing else.

    Raises:
        ConfigError: the model is of an architecture that is not known here, or damaged.
    """
    import ctranslate2

    label = Path(name).name
    target = root / f"ct2-{label}-{fingerprint[:12]}-{precision}-{ctranslate2.__version__}"
    if (target / DONE).exists():
        return target
    vocab_size = int(load_config(name, str(directory)).vocab_size)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    try:
        converter = _converter(str(directory), vocab_size)
        converter.convert(str(fresh), quantization=precision)
        _check_vocabulary(name, fresh, converter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, ConfigError):
            raise
        raise unknown_translator(name, f"its conversion to CTranslate2 failed: {error}") from None
    (fresh / TOKENIZER).mkdir()
    for path in directory.iterdir():
        if path.suffix in FILES and path.suffix not in WEIGHTS and not path.name.startswith("."):
            shutil.copyfile(path, fresh / TOKENIZER / path.name)
    (fresh / DONE).write_text(json.dumps({"model": name, "fingerprint": fingerprint, "precision": precision}))
    if target.exists():  # cut off before its last file was there
        shutil.rmtree(target)
    fresh.rename(target)
    return target


class _EveryToken:
    """A tokenizer whose vocabulary has a token for each row of the embeddings, in the order of ids."""

    num_madeup_words = 0
    special_tokens_map: Final[dict[str, Any]] = {}

    def __init__(self, tokenizer: Any, vocab_size: int) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def get_vocab(self) -> dict[str, int]:
        return every_token(self._tokenizer, self._vocab_size)


def _converter(directory: str, vocab_size: int) -> Any:
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):  # type: ignore[misc]
        """Keeps the tokenizer that it hands on, to compare it with what was written."""

        tokenizer: Any = None

        def load_tokenizer(self, tokenizer_class: Any, model_name_or_path: str, **kwargs: Any) -> Any:
            loaded = super().load_tokenizer(tokenizer_class, model_name_or_path, **kwargs)
            self.tokenizer = _EveryToken(loaded, vocab_size)
            return self.tokenizer

    return Converter(directory)


def _check_vocabulary(name: str, directory: Path, converter: Any) -> None:
    """ConfigError where a token of the converted model stands at another place than in the tokenizer."""
    vocab = converter.tokenizer.get_vocab()
    written = json.loads((directory / "shared_vocabulary.json").read_text())
    wrong = [token for id_, token in enumerate(written) if vocab.get(token) != id_]
    if wrong or len(written) < len(vocab) - 1:  # Marian's padding is left out
        raise ConfigError(
            f"translate.model={name!r}: converted to CTranslate2, {len(wrong)} tokens have other places than in its "
            f"tokenizer ({', '.join(wrong[:3])}); use another model, or another version of its files"
        )
