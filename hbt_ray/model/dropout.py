"""Dropout that is cheap on a CPU: random bits by the word, 16 of them an element, instead of a draw an element.

torch draws one number at a time on a CPU, which took a quarter of a training step. The bits come from a generator
that is seeded from torch's own, so `torch.manual_seed` and activation checkpointing decide them as they do torch's.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


def draw_kept(num: int, p: float) -> Tensor:
    """uint8 [num]: 0 with probability `p` (to 2^-17), else 1; from one draw of torch's CPU generator.

    Not bool: torch's products with bool and its `masked_fill` are several times slower than a cast and a product.
    """
    seed = int(torch.randint(1 << 62, ()))
    words = np.random.SFC64(seed).random_raw((num + 3) // 4)
    kept = words.view(np.int16)[:num] >= round(p * _LEVELS) - _LEVELS // 2
    return torch.from_numpy(kept.view(np.uint8))


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, p: float) -> Tensor:
        kept = draw_kept(values.numel(), p).view(values.shape)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - p)
        return kept.to(values.dtype).mul_(values).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return kept.to(gradients[0].dtype).mul_(gradients[0]).mul_(ctx.scale), None


class FastDropout(nn.Dropout):
    """`nn.Dropout` with the same distribution and other random numbers, for tensors on the CPU."""

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return values
        dropped: Tensor = _Drop.apply(values, self.p)  # type: ignore[no-untyped-call]
        return dropped


def use_fast_dropout(module: nn.Module) -> None:
    """Puts `FastDropout` in the place of every `nn.Dropout` inside `module`."""
    for name, child in module.named_children():
        if type(child) is nn.Dropout:
            setattr(module, name, FastDropout(child.p))
        else:
            use_fast_dropout(child)
