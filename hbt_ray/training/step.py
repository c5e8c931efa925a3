"""Encoder and loss as one module, so that DDP sees one forward pass a step whatever happens inside."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from hbt_ray.losses.contrastive import ContrastiveLoss
from hbt_ray.losses.terms import LossStats
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.grad_cache import GradCache, num_recomputed
from hbt_ray.model.precision import at_least_float32, autocast
from hbt_ray.training.batch import Batch


@dataclass(frozen=True)
class StepSeed:
    """Where a step's dropout comes from.

    It is a function of (seed, step, rank, chunk), like the plan: a resumed run draws what the uninterrupted one would
    have drawn, no generator state has to be carried over a restart, and a chunk that is encoded twice draws the same.
    """

    seed: int
    step: int
    rank: int

    def plant(self, chunk: int) -> None:
        """Seed torch for one chunk."""
        mixed = self.seed * 0x9E3779B97F4A7C15 + self.step * 0xBF58476D1CE4E5B9 + self.rank * 0x94D049BB133111EB
        torch.manual_seed((mixed + chunk * 0xD6E8FEB86659FD93) % 2**63)


def most_chunks(num_chunks: int, device: torch.device) -> int:
    """The largest number of chunks that a worker has in this step."""
    most = torch.tensor(num_chunks, device=device)
    dist.all_reduce(most, op=dist.ReduceOp.MAX)
    return int(most)


@contextmanager
def unsynced(module: nn.Module) -> Iterator[None]:
    """Inside, backward passes of a sharded module add up without being averaged over the workers."""
    shards = [module] if isinstance(module, FSDPModule) else []
    for shard in shards:
        shard.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        for shard in shards:
            shard.set_requires_gradient_sync(True)


class ContrastiveStep(nn.Module):
    """Loss of a batch: encode its chunks, compare with all workers' passages, run backward what does not fit.

    What it gives is a scalar whose backward pass finishes the gradients, so that DDP averages them once a step,
    bucket by bucket while that pass goes on.
    """

    def __init__(self, encoder: Encoder, loss: ContrastiveLoss, *, kept_tokens: int = sys.maxsize) -> None:
        """`kept_tokens`: tokens whose activations may be in memory at once; chunks beyond are encoded twice."""
        super().__init__()
        self.encoder = encoder
        self.loss = loss
        self.kept_tokens = kept_tokens
        self.equal_chunks = False
        """Whether all workers run the encoder equally often, which a sharded one needs: it is gathered each time."""

    def forward(self, batch: Batch, seed: StepSeed, precision: str = "fp32") -> tuple[Tensor, Tensor, LossStats]:
        """One step up to its last backward pass.

        Returns:
            A scalar to call `backward` on, this worker's loss (0-dim, the mean over its rows), and its statistics.
        """
        n, device, chunks = len(batch), batch.items.device, batch.chunks
        recomputed = num_recomputed([chunk.num_padded for chunk in chunks], self.kept_tokens)
        dtype = at_least_float32(self.encoder.backbone.dtype)
        num_idle = 0
        if self.equal_chunks:
            num_idle = most_chunks(len(chunks), device) - len(chunks)
            recomputed = num_idle + len(chunks) - 1

        def encode(number: int) -> Tensor:
            if number < num_idle:  # another worker has more chunks: run along, and give nothing
                return self.encoder.forward_chunk(chunks[0])[:0]
            seed.plant(number - num_idle)
            return self.encoder.forward_chunk(chunks[number - num_idle])

        cache = GradCache(
            encode,
            [chunks[0].rows[:0]] * num_idle + [chunk.rows for chunk in chunks],
            torch.empty(batch.num_texts, self.encoder.dim, device=device, dtype=dtype),
            recomputed,
            lambda: autocast(device, precision),
        )
        queries, passages, others = torch.split(cache.vectors, [n, n, batch.num_texts - 2 * n])
        hard: dict[str, Tensor] = {}
        if (named := batch.negatives) is not None:
            full = others.new_zeros(named.present.numel(), others.shape[1]).index_copy_(0, named.places, others)
            hard = {
                "negatives": full.view(*named.present.shape, -1),
                "negative_hashes": named.hashes,
                "negative_groups": named.groups,
                "negative_present": named.present,
            }
        result = self.loss(
            queries,
            passages,
            batch.items,
            batch.passage_hashes,
            groups=batch.groups,
            query_langs=batch.query_langs,
            passage_langs=batch.passage_langs,
            weights=batch.weights,
            in_place=True,
            **hard,
        )
        queries.copy_(result.queries)  # gradients in the place of the vectors: a large batch needs no second buffer
        passages.copy_(result.passages)
        if named is not None and result.negatives is not None:
            others.copy_(result.negatives.flatten(0, 1)[named.places])
        with unsynced(self.encoder.backbone):
            cache.backward(cache.vectors)
        return cache.surrogate(cache.vectors) + self.loss.surrogate(result), result.loss, result.stats
