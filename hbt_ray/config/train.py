"""Optimisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from hbt_ray.config.checks import ShareBelowOne, require, section


@section("train")
@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation."""

    steps: NonNegativeInt = 1000
    """Optimiser steps; 0 trains nothing, and scores the base model as it came."""
    lr: PositiveFloat = 3e-5
    """Peak learning rate of AdamW."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay (not on biases and norms)."""
    warmup: ShareBelowOne = 0.1
    """Share of the steps over which the learning rate rises from 0."""
    decay: Literal["linear", "cosine", "constant"] = "linear"
    """Shape of the learning rate after warm-up; linear and cosine end at 0."""
    clip: NonNegativeFloat = 1.0
    """Largest gradient norm; 0 is no clipping."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto` is bf16 autocast where the hardware has it."""
    token_budget: int | Literal["auto"] = "auto"
    """Tokens in one forward pass, to which a slice is cut after sorting by length; `auto` is 1,024 on a CPU and
    16,384 on a GPU, fewer where memory is small. It changes speed and the draws of dropout, never the negatives."""
    kept_tokens: int | Literal["auto"] = "auto"
    """Tokens a worker keeps activations of; a larger slice goes through the gradient cache, which encodes what is
    beyond twice and changes no gradient. `auto` is what a quarter of the memory holds."""
    packing: Literal["auto", "on", "off"] = "auto"
    """Texts one after the other instead of padded: `auto` is on on CPUs, where the model's architecture can."""
    compile: bool = False
    """Run the encoder through torch.compile (padded chunks); where that fails, the run says so and goes on without."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Decides the plan, dropout and every other draw."""
    log_every: PositiveInt = 10
    """Steps between two points of the training curves."""
    eval_every: NonNegativeInt = 0
    """Steps between two dev evaluations (each with a checkpoint); 0 is at the end only."""
    checkpoint_every: NonNegativeInt = 0
    """Steps between two checkpoints besides those of evaluations; 0 is none besides."""

    def __post_init__(self) -> None:
        for name, least in (("token_budget", 64), ("kept_tokens", 0)):
            value = getattr(self, name)
            require(value == "auto" or value >= least, f"train.{name}", value, f"at least {least}, or auto")
        require(not (self.compile and self.packing == "on"), "train.packing", self.packing, "auto or off with compile")
