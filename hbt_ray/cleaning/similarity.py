"""Translations that an encoder finds to mean something else.

Measure: the cosine of the row and its original. Threshold: below `clean.min_similarity`. Requirement: `clean.model`, a
multilingual encoder, and the original.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hbt_ray.cleaning.texts import Field, Verdicts
from hbt_ray.config.clean import CleanConfig
from hbt_ray.errors import ConfigError
from hbt_ray.model.find import model_directory, model_fingerprint, resolve_model
from hbt_ray.retrieval.encoding.vector_store import TextEncoder


def similarity(questions: Field, passages: Field, config: CleanConfig, encoder: TextEncoder | None = None) -> Verdicts:
    """Cosine of question and passage together with those of the original."""
    verdicts = Verdicts.none(len(passages.texts))
    compared = passages.compared
    if len(compared):
        encoder = encoder or load_encoder(config.model)
        pairs = [_joined(questions.pair(row), passages.pair(row)) for row in compared]
        distinct = list(dict.fromkeys(text for pair in pairs for text in pair))  # an original has many translations
        number = {text: row for row, text in enumerate(distinct)}
        vectors = encoder.encode(distinct, "passage")
        texts, originals = (vectors[[number[pair[side]] for pair in pairs]] for side in (0, 1))
        verdicts.values[compared] = np.sum(texts * originals, axis=1)
    verdicts.bad[:] = verdicts.values < config.min_similarity
    return verdicts


def _joined(question: tuple[str, str], passage: tuple[str, str]) -> tuple[str, str]:
    return f"{question[0]}\n{passage[0]}", f"{question[1]}\n{passage[1]}"


@lru_cache(maxsize=1)
def load_encoder(model: str) -> TextEncoder:
    """The encoder of `clean.model`, once a process; on a GPU where the process has one."""
    import torch

    from hbt_ray.model.encoder import Encoder

    return Encoder.load(resolve_model(model), device="cuda" if torch.cuda.is_available() else "cpu")


def encoder_fingerprint(model: str) -> str:
    """sha256, in hex, of the files of `clean.model`, wherever they lie; a model of the hub is fetched.

    Raises:
        ConfigError: no such directory, and the hub does not have it or cannot be reached.
    """
    return model_fingerprint(model_directory(resolve_model(model), _no_model), _no_model)


def _no_model(name: str, reason: str) -> ConfigError:
    return ConfigError(f"clean.model={name!r} cannot be had: {reason}; give the directory of an encoder, or a hub name")
