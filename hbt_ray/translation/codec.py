"""Texts to token ids and back, as one translation model wants them: M2M-100, NLLB and Marian (OPUS-MT)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from transformers import AutoConfig, AutoTokenizer

from hbt_ray.errors import ConfigError
from hbt_ray.translation.codes import M2M_100, NLLB, marian_codes, table_codes, unsupported

SPARE: Final = "madeupword"
"""How fairseq calls rows of the embeddings that are no token: the 8 of M2M-100, the 2 of NLLB."""
Family = Literal["m2m_100", "nllb", "marian"]
LANGUAGE_TOKEN: Final = {"m2m_100": "__{}__", "nllb": "{}"}
_GROUPS = """
mul ine itc roa gem gmw gmq sla zle zls zlw bat cel iir inc ira sem afa cus trk tut urj fiu alv bnt nic aav dra map poz
pqe phi sit tai cpf cpp cau ccs art euq ROMANCE SCANDINAVIA NORTH_EU CELTIC NORWAY ZH
"""
GROUPS: Final = frozenset(_GROUPS.split())
"""Names of OPUS-MT for several languages at once: what they hold is not said by the model."""


class Codec:
    """The tokenizer of one model, with its source language set.

    Attributes:
        family: which conventions it follows.
        max_tokens: that the model reads, special ones included.
        special_ids: tokens that are no text: languages, ends, padding.
        spare: rows of the embeddings beyond the tokenizer's tokens, and the names that they are given.
    """

    def __init__(self, name: str, directory: str, source_lang: str) -> None:
        """Load the tokenizer.

        Args:
            name: of the model, for errors.
            directory: with `config.json` and the files of the tokenizer.
            source_lang: canonical tag of the texts.

        Raises:
            ConfigError: no model is there, it is no translation model of these families, or lacks the language.
        """
        self.name = name
        self.config: Any = load_config(name, directory)
        self.tokenizer: Any = _load_tokenizer(name, directory)
        self.family: Family = _family(name, self.config, self.tokenizer)
        self._marian = dict.fromkeys(getattr(self.tokenizer, "supported_language_codes", ()))
        self._codes = self._table()
        if self.family == "marian":
            if getattr(self.tokenizer, "separate_vocabs", False):
                raise ConfigError(
                    f"translate.model={name!r} has a vocabulary for each side; allowed are models with one"
                )
            self._check_marian(str(self.tokenizer.source_lang), "translate.source_lang", source_lang)
        else:
            self.tokenizer.src_lang = self._code(source_lang, "translate.source_lang")
        self.max_tokens = int(min(self.config.max_position_embeddings, self.tokenizer.model_max_length))
        languages = self._marian if self.family == "marian" else map(self.language_token, set(self._codes.values()))
        self.spare = {
            id_: name
            for name, id_ in every_token(self.tokenizer, self.config.vocab_size).items()
            if name.startswith(SPARE)
        }
        self.special_ids = {*self.tokenizer.all_special_ids, *map(self.tokenizer.convert_tokens_to_ids, languages)}

    def check_target(self, lang: str) -> None:
        """ConfigError where the model does not write `lang` (a canonical tag)."""
        if self.family != "marian":
            self._code(lang, "translate.langs")
        elif self._marian:
            self._marian_token(lang)
        else:
            self._check_marian(str(self.tokenizer.target_lang), "translate.langs", lang)

    def encode(self, texts: Sequence[str], lang: str) -> list[list[int]]:
        """Token ids of texts to be translated to `lang`; never cut. Names of tokens in a text are plain text."""
        if not texts:
            return []
        if self.family == "marian":  # a text that begins with >> would be taken for a language
            mark = f"{self._marian_token(lang)} " if self._marian else " "
            texts = [mark + text for text in texts]
        ids: list[list[int]] = self.tokenizer(
            list(texts), add_special_tokens=True, truncation=False, split_special_tokens=True, verbose=False
        )["input_ids"]
        return ids

    def prefix(self, lang: str) -> int | None:
        """The token with which a translation to `lang` begins, where the family has one."""
        if self.family == "marian":
            return None
        return int(self.tokenizer.convert_tokens_to_ids(self.language_token(self._code(lang, "translate.langs"))))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids; special tokens are left out."""
        kept = [id_ for id_ in ids if id_ not in self.special_ids]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False)).strip() if kept else ""

    def language_token(self, code: str) -> str:
        """The token of one of the model's language codes."""
        return LANGUAGE_TOKEN[self.family].format(code)

    def _table(self) -> dict[str, str]:
        """Tag -> code of the languages that this very tokenizer has."""
        if self.family == "marian":
            return {}
        unknown = self.tokenizer.unk_token_id
        table = NLLB if self.family == "nllb" else M2M_100
        return table_codes(
            table, lambda code: self.tokenizer.convert_tokens_to_ids(self.language_token(code)) not in (unknown, None)
        )

    def _code(self, lang: str, field: str) -> str:
        if lang not in self._codes:
            raise unsupported(self.name, field, lang, self._codes)
        return self._codes[lang]

    def _marian_token(self, lang: str) -> str:
        tokens = [f">>{code}<<" for code in marian_codes(lang)]
        known = next((token for token in tokens if token in self._marian), None)
        if known is None:
            raise unsupported(self.name, "translate.langs", lang, (token.strip("<>") for token in self._marian))
        return known

    def _check_marian(self, code: str, field: str, lang: str) -> None:
        """ConfigError where the one `code` of a side is another language than `lang`."""
        if code not in (*marian_codes(lang), *GROUPS, "None"):
            raise unsupported(self.name, field, lang, [code])


def every_token(tokenizer: Any, vocab_size: int) -> dict[str, int]:
    """Token -> id with a name for every row of the embeddings, in the order of ids."""
    vocab: dict[str, int] = {}
    for id_, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(vocab_size)))):
        vocab[f"{SPARE}{id_}" if token is None or token in vocab else token] = id_
    return vocab


def load_config(name: str, directory: str) -> Any:
    """The configuration of a sequence-to-sequence model of a family that is known here; else ConfigError."""
    try:
        config: Any = AutoConfig.from_pretrained(directory, local_files_only=Path(directory).is_dir())
    except (OSError, ValueError) as error:
        raise unknown_translator(name, str(error)) from None
    if not getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"translate.model={name!r} is not a sequence-to-sequence model (it is {config.model_type}); "
            "allowed are M2M-100, NLLB and Marian (OPUS-MT)"
        )
    if config.model_type not in ("m2m_100", "marian"):
        raise ConfigError(
            f"translate.model={name!r} is of the architecture {config.model_type}; "
            "allowed are M2M-100, NLLB (dense) and Marian (OPUS-MT)"
        )
    return config


def unknown_translator(name: str, reason: str) -> ConfigError:
    """The one line for a model that cannot be had."""
    reason = reason.strip().splitlines()[0][:200] if reason.strip() else "nothing is there"
    return ConfigError(
        f"translate.model={name!r} cannot be loaded: {reason}; give the directory of a model, or its name on the "
        "Hugging Face hub where that can be reached"
    )


def _load_tokenizer(name: str, directory: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Recommended: pip install sacremoses")
            return AutoTokenizer.from_pretrained(directory, local_files_only=Path(directory).is_dir())
    except (OSError, ValueError, KeyError, TypeError, AssertionError, RuntimeError) as error:
        raise unknown_translator(name, f"its tokenizer: {error}") from None


def _family(name: str, config: Any, tokenizer: Any) -> Family:
    if config.model_type == "marian":
        return "marian"
    kind = type(tokenizer).__name__
    if kind.startswith("Nllb"):
        return "nllb"
    if kind.startswith("M2M100"):
        return "m2m_100"
    raise ConfigError(f"translate.model={name!r} has a {kind}; allowed are the tokenizers of M2M-100 and NLLB")
