"""The engine that runs a translation model: CTranslate2, which tests hold against transformers.

It never writes <unk>, or a row of the embeddings that is no token: a text with holes would be worse than the
model's second choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ctranslate2

from hbt_ray.config import TranslateConfig
from hbt_ray.errors import ConfigError
from hbt_ray.translation.codec import Codec


@dataclass(frozen=True)
class Output:
    """A translation as token ids, without the language and the end; `cut` where it ran to the limit of its length."""

    ids: list[int]
    cut: bool


Engine = Callable[[Sequence[Sequence[int]], int | None, int], list[Output]]
"""A loaded model: translates rows of source ids, each to at most the last argument's tokens, of which the second is
the first where it is not None."""


class CTranslate2Engine:
    """A converted model (`hbt_ray.translation.convert`)."""

    def __init__(self, codec: Codec, directory: str, config: TranslateConfig, device: str, threads: int) -> None:
        """Load the model; ConfigError where the device does not compute in the precision."""
        have = ctranslate2.get_supported_compute_types(device)
        if config.precision not in have:
            raise ConfigError(
                f"translate.precision={config.precision!r} is not to be had on {device} here; it computes in "
                f"{', '.join(sorted(have))}"
            )
        self._codec = codec
        self._translator = ctranslate2.Translator(
            directory, device=device, compute_type=config.precision, inter_threads=1, intra_threads=threads
        )
        self._options: dict[str, Any] = {
            "beam_size": config.beam_size,
            "length_penalty": config.length_penalty,
            "repetition_penalty": config.repetition_penalty,
            "no_repeat_ngram_size": config.no_repeat_ngram,
            "disable_unk": True,
            "suppress_sequences": [[name] for name in codec.spare.values()] or None,
            "max_input_length": 0,  # nothing is cut: the translator has seen to the lengths
            "return_end_token": True,
        }

    def __call__(self, batch: Sequence[Sequence[int]], prefix: int | None, max_new: int) -> list[Output]:
        """See `Engine`."""
        tokenizer = self._codec.tokenizer
        sources = [tokenizer.convert_ids_to_tokens(list(ids)) for ids in batch]
        first = None if prefix is None else [[tokenizer.convert_ids_to_tokens(prefix)]] * len(sources)
        results = self._translator.translate_batch(sources, first, max_decoding_length=max_new, **self._options)
        outputs = []
        for result in results:
            ids: list[int] = tokenizer.convert_tokens_to_ids(result.hypotheses[0])
            outputs.append(output_of(ids, prefix, tokenizer.eos_token_id))
        return outputs


def output_of(ids: list[int], prefix: int | None, eos: int) -> Output:
    """Ids up to the end."""
    if prefix is not None and ids[:1] == [prefix]:
        ids = ids[1:]
    if eos in ids:
        return Output(ids[: ids.index(eos)], cut=False)
    return Output(ids, cut=True)
