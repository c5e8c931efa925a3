"""Which languages the corpus is translated to, and by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from hbt_ray.config.checks import Text, section


@section("translate")
@dataclass(frozen=True, kw_only=True)
class TranslateConfig:
    """Which languages the corpus is translated to, and by what."""

    langs: tuple[str, ...] = ()
    """Languages (BCP-47) to translate to; one that is added later is the only one that is then translated."""
    source_lang: str = "en"
    """Language (BCP-47) of the rows that are translated; rows in others are passed on as they are."""
    model: Text = "facebook/m2m100_418M"
    """M2M-100, NLLB or Marian (OPUS-MT): a directory or hub name; `{lang}` in it is the target, one model each."""
    precision: Literal["float32", "float16", "bfloat16", "int8"] = "int8"
    """Of weights and arithmetic."""
    beam_size: PositiveInt = 1
    """Hypotheses kept while decoding; 1 is greedy."""
    length_penalty: NonNegativeFloat = 1.0
    """Exponent of the length by which a beam's scores are divided."""
    repetition_penalty: PositiveFloat = 1.0
    """By which tokens that were written already become less likely; 1 is off."""
    no_repeat_ngram: NonNegativeInt = 0
    """No n-gram of so many tokens is written twice in a sentence; 0 is off."""
    max_sentence_tokens: Annotated[int, Field(ge=8)] = 200
    """Longer sentences are cut into pieces at marks or spaces, and none is dropped; at most what the model reads."""
    max_output_ratio: Annotated[float, Field(ge=1)] = 3.0
    """Tokens written at most for each token read, above 16; an output that gets there is counted as cut off."""
    negatives: bool = True
    """Translate the rows' `negatives` too, where there are any; else translated rows have none."""
    token_budget: Annotated[int, Field(ge=64)] = 2048
    """Padded source tokens that are translated at once."""
    rows_per_shard: PositiveInt = 500
    """Rows in a file of the result: what a killed run does again, and how often there is news."""
    output: str = ""
    """Directory or URL in which results are kept; empty is `translations` in the workspace."""
    use_gpu: bool = False
    """One GPU a translator; else CPUs."""
    cpus_per_translator: PositiveInt = 2
    """Cores, and threads, of a translator; there are as many translators as fit."""
    tokens_per_second: NonNegativeFloat = 0.0
    """Source tokens a second of one translator for the estimate of `--dry-run`; 0 measures."""
