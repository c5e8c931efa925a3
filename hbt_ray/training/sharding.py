"""How the workers of a run share a model: whole copies (DDP), or a shard each (FSDP2), behind one interface.

DDP averages gradients bucket by bucket while the step's last backward pass goes on. FSDP2 keeps a shard of weights,
gradients and moments on each worker and gathers a layer when it is computed, for encoders that do not fit.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from hbt_ray.model.gather import world
from hbt_ray.training.step import ContrastiveStep

_NAMES = inspect.signature(DistributedDataParallel).parameters
KEEP_BUFFERS: dict[str, Any] = {
    "forward_sync_buffers" if "forward_sync_buffers" in _NAMES else "broadcast_buffers": False
}
"""PyTorch 2.13 has given it another name; the buffers of an encoder are constants, so nothing is to be sent."""


def share(module: ContrastiveStep, sharding: str) -> nn.Module:
    """The module to call in a step; `ddp` or `fsdp` where there are several workers, the module itself with one.

    With `fsdp` the encoder's parameters become shards, so the optimiser has to be made afterwards.
    """
    if world()[1] == 1:
        return module
    if sharding == "ddp":
        return DistributedDataParallel(module, gradient_as_bucket_view=True, **KEEP_BUFFERS)
    backbone = module.encoder.backbone
    for layers in (part for part in backbone.modules() if isinstance(part, nn.ModuleList)):
        for layer in layers:
            fully_shard(layer)
    fully_shard(backbone)
    module.equal_chunks = True
    return module


def average_own(module: ContrastiveStep) -> None:
    """Averages the gradients that neither DDP nor FSDP has averaged: the loss's own, where the encoder is sharded."""
    if isinstance(module.encoder.backbone, FSDPModule):
        for parameter in module.loss.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= world()[1]


def clip_gradients(module: nn.Module, limit: float) -> Tensor:
    """Scales the gradients down to a norm of `limit` over all workers; returns the norm before, 0-dim.

    Shards and whole tensors have norms of their own kind, which are put together here.
    """
    parameters = [p for p in module.parameters() if p.grad is not None]
    sharded = [p for p in parameters if isinstance(p.grad, DTensor)]
    if not sharded:
        before: Tensor = nn.utils.clip_grad_norm_(parameters, limit)
        return before
    whole = [p for p in parameters if not isinstance(p.grad, DTensor)]
    norm: Any = nn.utils.get_total_norm([p.grad for p in sharded if p.grad is not None])
    total: Tensor = norm.full_tensor()
    if whole:
        total = torch.linalg.vector_norm(
            torch.stack([total, nn.utils.get_total_norm([p.grad for p in whole if p.grad is not None])])
        )
    for group in (sharded, whole):
        nn.utils.clip_grads_with_norm_(group, limit, total)
    return total


@contextmanager
def whole_model(module: nn.Module) -> Iterator[None]:
    """Inside, a sharded model is whole on every worker, so that each may run it as often as it likes."""
    shards = [part for part in module.modules() if isinstance(part, FSDPModule)]
    for part in shards:
        part.unshard()
        part.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for part in shards:
            part.set_reshard_after_forward(part is not shards[0], recurse=False)
            part.reshard()
