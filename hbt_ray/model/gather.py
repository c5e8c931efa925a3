"""Rows of all workers, in rank order, with one collective a step each way."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# The names that torch 2.13 prefers; older ones know the others alone.
_all_gather: Any = getattr(dist, "all_gather_single", None) or getattr(dist, "all_gather_into_tensor", None)
_reduce_scatter: Any = getattr(dist, "reduce_scatter_single", None) or getattr(dist, "reduce_scatter_tensor", None)


def world() -> tuple[int, int]:
    """(rank, world size) of this process; (0, 1) where no process group is initialised."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather_rows(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Values of all workers, without gradient: each [n, ...] -> [world_size * n, ...], in rank order.

    All tensors travel as bytes in one collective, whatever their types. Every worker must bring the same n.
    """
    world_size = world()[1]
    if world_size == 1:
        return list(tensors)
    rows = [tensor.detach().contiguous().view(len(tensor), -1).view(torch.uint8) for tensor in tensors]
    packed = torch.cat(rows, dim=1)
    gathered = packed.new_empty(world_size * len(packed), packed.shape[1])
    _all_gather(gathered, packed)
    parts = torch.split(gathered, [part.shape[1] for part in rows], dim=1)
    return [
        part.contiguous().view(tensor.dtype).view(-1, *tensor.shape[1:])
        for part, tensor in zip(parts, tensors, strict=True)
    ]


def sum_own_rows(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Each float32 [world_size * n, d] summed over the workers, of which this one gets its own rows: [n, d] each.

    The other way of `gather_rows`: what every worker's loss says of this worker's rows. One collective.
    """
    world_size = world()[1]
    if world_size == 1:
        return list(tensors)
    packed = torch.cat([tensor.view(len(tensor), -1) for tensor in tensors], dim=1).contiguous()
    rows = packed.new_empty(len(packed) // world_size, packed.shape[1])
    _reduce_scatter(rows, packed)
    parts = torch.split(rows, [tensor[0].numel() for tensor in tensors], dim=1)
    return [part.reshape(-1, *tensor.shape[1:]) for part, tensor in zip(parts, tensors, strict=True)]
