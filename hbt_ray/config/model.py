"""The encoder and its loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from hbt_ray.config.checks import Text, require, section


@section("model")
@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The encoder that is fine-tuned, and its loss."""

    base: Text = "tiny"
    """`tiny` (built here from the corpus), a Hugging Face name, a model directory, or `package:NAME`."""
    pooling: Literal["auto", "mean", "cls", "pooler"] = "auto"
    """How token vectors become one; `auto` is what the model's own directory says, else mean."""
    temperature: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Cosine similarities are divided by this in the loss (the start value where it is learned)."""
    learn_temperature: bool = False
    """Train the temperature as a parameter."""
    losses: Annotated[dict[str, PositiveFloat], Field(min_length=1)] = field(default_factory=lambda: {"info_nce": 1.0})
    """Terms of the loss and their weights (`hbt_ray.losses`): `info_nce` is query to passage (the paper), `symmetric`
    passage to query; half of each is the symmetric loss. `multiway` is query to all other languages' passages of the
    item, for `plan.pairs=multiway`; in other batches it is `info_nce`."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    lora_rank: NonNegativeInt = 0
    """Train low-rank adapters of this rank instead of the weights (needs `hbt-ray[lora]`); 0 trains the weights."""
    lora_alpha: PositiveFloat = 16.0
    """The adapters' product is scaled by lora_alpha / lora_rank."""
    lora_targets: tuple[str, ...] = ()
    """Names of the linear layers that get adapters, e.g. [query, value]; empty is peft's choice for the model."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """Attention implementation of the Hugging Face model."""
    trust_remote_code: bool = False
    """Let a hub model run its own Python code; off unless you have read that code."""

    def __post_init__(self) -> None:
        learnable = not self.learn_temperature or self.temperature >= 0.01
        require(learnable, "model.temperature", self.temperature, "0.01 to 1 where it is learned")
