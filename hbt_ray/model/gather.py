"""Rows of all workers, in rank order; the vectors with gradients that flow back to where they came from."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> tuple[int, int]:
    """(rank, world size) of this process; (0, 1) where no process group is initialised."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


class _AllGather(torch.autograd.Function):
    """Every rank's loss reads this rank's rows, so their gradient is the sum over the ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.num_rows = len(rows)
        return _gathered(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].contiguous().clone()
        dist.all_reduce(summed)
        start = dist.get_rank() * ctx.num_rows
        return summed[start : start + ctx.num_rows]


def all_gather(rows: Tensor) -> Tensor:
    """Vectors of all workers, differentiable: [n, d] -> [world_size * n, d], in rank order.

    The backward pass sums the gradient over the workers. With each worker's loss a mean over its own n
    queries, and DDP's mean over workers, the gradient is that of one process on the whole batch; with a
    detached gather it is not. Every worker must bring the same n.
    """
    if world()[1] == 1:
        return rows
    gathered: Tensor = _AllGather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


def gather_rows(values: Tensor) -> Tensor:
    """Values of all workers, without gradient: [n, ...] -> [world_size * n, ...], in rank order."""
    return values if world()[1] == 1 else _gathered(values)


def _gathered(rows: Tensor) -> Tensor:
    rows = rows.detach().contiguous()
    parts = [torch.empty_like(rows) for _ in range(world()[1])]
    dist.all_gather(parts, rows)
    return torch.cat(parts)
