"""AdamW and the shape of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from hbt_ray.config import TrainConfig

DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "constant": lambda done: 1.0,
}
"""Share of the steps after warm-up that is done (0 to 1) -> factor of the peak learning rate."""


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, as is usual for Transformers (not on biases, norms, temperature)."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, fused=True)


def make_scheduler(optimizer: torch.optim.Optimizer, config: TrainConfig) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up over `warmup` of the steps, then `decay`; one call of `step()` a training step."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, config))


def lr_factor(step: int, config: TrainConfig) -> float:
    """Learning rate of step `step` (from 0) as a factor of the peak; 1 at the end of warm-up."""
    warmup = round(config.warmup * config.steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return DECAYS[config.decay]((step - warmup) / max(1, config.steps - warmup))
