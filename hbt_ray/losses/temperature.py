"""The temperature that divides the cosines: a constant, or learned as CLIP does (arXiv 2103.00020, 2.5)."""

import math

import torch
from torch import Tensor, nn

from hbt_ray.errors import ConfigError

# CLIP keeps its logit scale 1 / temperature at 100 or below, "which we found necessary to prevent training
# instability"; the upper end keeps a learned temperature from flattening the softmax altogether.
LOWEST = 0.01
HIGHEST = 1.0


class Temperature(nn.Module):
    """Gives the temperature as a 0-dim float32 tensor.

    A learned one is a single parameter, log temperature, so that a step changes it by a ratio, held within
    [LOWEST, HIGHEST] by moving the parameter back before use: a clamp in the graph would have no gradient
    outside the range and could never come back. Leave the parameter out of weight decay, which would pull
    the temperature towards 1.
    """

    fixed: Tensor

    def __init__(self, initial: float = 0.05, *, learned: bool = False) -> None:
        """`initial`: temperature at the start; within [LOWEST, HIGHEST] when learned, else above 0."""
        super().__init__()
        lowest, highest = (LOWEST, HIGHEST) if learned else (0.0, math.inf)
        if not (lowest <= initial <= highest and 0.0 < initial < math.inf):
            allowed = f"from {LOWEST} to {HIGHEST} when it is learned" if learned else "a number above 0"
            raise ConfigError(f"temperature is {initial}; allowed is {allowed}; 0.05 is a sane start")
        self.learned = learned
        if learned:
            self.log_temperature = nn.Parameter(torch.tensor(math.log(initial), dtype=torch.float32))
        else:
            # Not persistent: the recipe says what a fixed temperature is, a checkpoint must not.
            self.register_buffer("fixed", torch.tensor(initial, dtype=torch.float32), persistent=False)

    def forward(self) -> Tensor:
        if not self.learned:
            return self.fixed
        self.log_temperature.data.clamp_(math.log(LOWEST), math.log(HIGHEST))
        return self.log_temperature.exp()
