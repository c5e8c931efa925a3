"""The engine that CTranslate2 is held against: transformers, with the model as its directory has it."""

from dataclasses import replace

import torch
from transformers import AutoModelForSeq2SeqLM, GenerationConfig

from hbt_ray.translation.engine import output_of


class TransformersEngine:
    """The model as its directory has it."""

    def __init__(self, codec, directory, config):
        self._model = AutoModelForSeq2SeqLM.from_pretrained(directory, dtype=getattr(torch, config.precision)).eval()
        self._pad = codec.tokenizer.pad_token_id
        self._eos = codec.tokenizer.eos_token_id
        silent = [codec.tokenizer.unk_token_id, *codec.spare] + ([self._pad] if codec.family == "marian" else [])
        beams = {"length_penalty": config.length_penalty, "early_stopping": True}
        # A model's own settings (beams, lengths, a forced end) must not decide what the recipe decides.
        self._model.generation_config = GenerationConfig(
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

    def __call__(self, batch, prefix, max_new):
        longest = max(map(len, batch))
        rows = torch.tensor([[*ids, *[self._pad] * (longest - len(ids))] for ids in batch])
        lengths = torch.tensor([len(ids) for ids in batch])
        mask = (torch.arange(longest)[None, :] < lengths[:, None]).long()
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=rows,
                attention_mask=mask,
                forced_bos_token_id=prefix,
                max_new_tokens=max_new,
            )
        outputs = [output_of(ids[1:], prefix, self._eos) for ids in written.tolist()]
        return [replace(output, ids=[id_ for id_ in output.ids if id_ != self._pad]) for output in outputs]
