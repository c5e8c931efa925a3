"""What runs a translation model: CTranslate2 for speed, transformers as the reference; both write the same tokens.

Neither ever writes <unk>, or a row of the embeddings that is no token: a text with holes would be worse than the
model's second choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ctranslate2
import torch
from transformers import AutoModelForSeq2SeqLM, GenerationConfig

from hbt_ray.config import TranslateConfig
from hbt_ray.errors import ConfigError
from hbt_ray.translation.codec import Codec, unknown_translator


@dataclass(frozen=True)
class Output:
    """A translation as token ids, without the language and the end; `cut` where it ran to the limit of its length."""

    ids: list[int]
    cut: bool


class Engine(Protocol):
    """A loaded model."""

    def __call__(self, batch: Sequence[Sequence[int]], prefix: int | None, max_new: int) -> list[Output]:
        """Translate rows of source ids, each to at most `max_new` tokens that begin with `prefix`."""


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
            outputs.append(_output(ids, prefix, tokenizer.eos_token_id))
        return outputs


class TransformersEngine:
    """The model as its directory has it."""

    def __init__(self, codec: Codec, directory: str, config: TranslateConfig, device: str, threads: int) -> None:
        """Load the model; ConfigError where it cannot be."""
        if device == "cpu":
            torch.set_num_threads(threads)
        try:
            model: Any = AutoModelForSeq2SeqLM.from_pretrained(directory, dtype=getattr(torch, config.precision))
        except (OSError, ValueError) as error:
            raise unknown_translator(codec.name, str(error)) from None
        self._model = model.to(device).eval()
        self._device = device
        self._pad = codec.tokenizer.pad_token_id
        self._eos = codec.tokenizer.eos_token_id
        silent = [codec.tokenizer.unk_token_id, *codec.spare] + ([self._pad] if codec.family == "marian" else [])
        beams: dict[str, Any] = {"length_penalty": config.length_penalty, "early_stopping": True}
        # A model's own settings (beams, lengths, a forced end) must not decide what the recipe decides.
        self._model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
            decoder_start_token_id=codec.config.decoder_start_token_id,
            pad_token_id=self._pad,
            eos_token_id=self._eos,
            do_sample=False,
            num_beams=config.beam_size,
            repetition_penalty=config.repetition_penalty,
            no_repeat_ngram_size=config.no_repeat_ngram,
            suppress_tokens=silent,
            **(beams if config.beam_size > 1 else {}),
        )

    def __call__(self, batch: Sequence[Sequence[int]], prefix: int | None, max_new: int) -> list[Output]:
        """See `Engine`."""
        longest = max(map(len, batch))
        rows = torch.tensor([[*ids, *[self._pad] * (longest - len(ids))] for ids in batch])
        lengths = torch.tensor([len(ids) for ids in batch])
        mask = (torch.arange(longest)[None, :] < lengths[:, None]).long()
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=rows.to(self._device),
                attention_mask=mask.to(self._device),
                forced_bos_token_id=prefix,
                max_new_tokens=max_new,
            )
        return [_output(ids[1:], prefix, self._eos, self._pad) for ids in written.tolist()]


def _output(ids: list[int], prefix: int | None, eos: int, pad: int | None = None) -> Output:
    """Ids up to the end; `pad` is what rows that ended sooner are filled with."""
    if prefix is not None and ids[:1] == [prefix]:
        ids = ids[1:]
    if eos in ids:
        return Output(ids[: ids.index(eos)], cut=False)
    return Output([id_ for id_ in ids if id_ != pad], cut=True)


ENGINES: dict[str, Callable[[Codec, str, TranslateConfig, str, int], Engine]] = {
    "ctranslate2": CTranslate2Engine,
    "transformers": TransformersEngine,
}
