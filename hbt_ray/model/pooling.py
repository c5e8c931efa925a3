"""From token states to one vector for a text."""

from collections.abc import Callable

import torch
from torch import Tensor

from hbt_ray.model.precision import at_least_float32

# (token states [n, t, d], mask [n, t], the model's own pooler output [n, d] or None) -> [n, d]
Pooling = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def mean(states: Tensor, mask: Tensor, pooler_output: Tensor | None) -> Tensor:
    """Mean over the real tokens, special tokens included; summed in float32, which bf16 states need."""
    dtype = at_least_float32(states.dtype)
    total = (states * mask.unsqueeze(-1).to(states.dtype)).sum(dim=1, dtype=dtype)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1).to(dtype)


def cls(states: Tensor, mask: Tensor, pooler_output: Tensor | None) -> Tensor:
    """State of the first token; rows are padded on the right, so it is never padding."""
    return states[:, 0]


def pooler(states: Tensor, mask: Tensor, pooler_output: Tensor | None) -> Tensor:
    """The model's own pooler, tanh(W cls + b), as LaBSE was trained with."""
    assert pooler_output is not None, "the encoder is loaded with its pooler when pooling is 'pooler'"
    return pooler_output


POOLINGS: dict[str, Pooling] = {"mean": mean, "cls": cls, "pooler": pooler}


def mean_packed(states: Tensor, text_of: Tensor, num_texts: int) -> Tensor:
    """`mean` of texts one after the other: states [T, d], text of each token [T] -> [num_texts, d], in float32."""
    dtype = at_least_float32(states.dtype)
    total = states.new_zeros(num_texts, states.shape[1], dtype=dtype)
    total = total.index_add(0, text_of, states.to(dtype))
    ones = torch.ones_like(text_of, dtype=dtype)
    return total / ones.new_zeros(num_texts).index_add(0, text_of, ones)[:, None]


def first_packed(states: Tensor, text_of: Tensor, num_texts: int) -> Tensor:
    """State of each text's first token: states [T, d], text of each token [T], rising -> [num_texts, d]."""
    return states[torch.searchsorted(text_of, torch.arange(num_texts, device=states.device))]
