"""The encoder and its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hbt_ray.config.checks import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The encoder that is fine-tuned, and its loss."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    base: str = "tiny"
    """`tiny` (built here from the corpus), a Hugging Face name, a model directory, or `package:NAME`."""
    pooling: Literal["auto", "mean", "cls", "pooler"] = "auto"
    """How token vectors become one; `auto` is what the model's own directory says, else mean."""
    temperature: float = 0.05
    """Cosine similarities are divided by this in the loss (the start value where it is learned)."""
    learn_temperature: bool = False
    """Train the temperature as a parameter."""
    losses: dict[str, float] = field(default_factory=lambda: {"info_nce": 1.0})
    """Terms of the loss and their weights (`hbt_ray.losses`): `info_nce` is query to passage (the paper), `symmetric`
    passage to query; half of each is the symmetric loss."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    lora_rank: int = 0
    """Train low-rank adapters of this rank instead of the weights (needs `hbt-ray[lora]`); 0 trains the weights."""
    lora_alpha: float = 16.0
    """The adapters' product is scaled by lora_alpha / lora_rank."""
    lora_targets: tuple[str, ...] = ()
    """Names of the linear layers that get adapters, e.g. [query, value]; empty is peft's choice for the model."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """Attention implementation of the Hugging Face model."""
    trust_remote_code: bool = False
    """Let a hub model run its own Python code; off unless you have read that code."""

    def __post_init__(self) -> None:
        require(bool(self.base), "model.base", self.base, "`tiny`, a Hugging Face name, or a model directory")
        require(0 < self.temperature <= 1, "model.temperature", self.temperature, "above 0, at most 1")
        require(bool(self.losses), "model.losses", self.losses, "one term or more, each with its weight")
        for name, weight in self.losses.items():
            require(0 < weight < math.inf, f"model.losses.{name}", weight, "a number above 0")
        require(self.lora_rank >= 0, "model.lora_rank", self.lora_rank, "0 (off) or above")
        require(self.lora_alpha > 0, "model.lora_alpha", self.lora_alpha, "above 0")
        learnable = not self.learn_temperature or self.temperature >= 0.01
        require(learnable, "model.temperature", self.temperature, "0.01 to 1 where it is learned")
