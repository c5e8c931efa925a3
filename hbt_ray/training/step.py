"""Encoder and loss as one module, so that DDP sees one forward pass a step whatever happens inside."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hbt_ray.model.encoder import Encoder
from hbt_ray.model.grad_cache import GradCache, num_recomputed
from hbt_ray.model.loss import ContrastiveLoss, LossStats
from hbt_ray.model.precision import autocast
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

    def forward(self, batch: Batch, seed: StepSeed, precision: str = "fp32") -> tuple[Tensor, Tensor, LossStats]:
        """One step up to its last backward pass.

        Returns:
            A scalar to call `backward` on, this worker's loss (0-dim, the mean over its rows), and its statistics.
        """
        n, device = len(batch), batch.items.device

        def encode(number: int) -> Tensor:
            seed.plant(number)
            return self.encoder.forward_chunk(batch.chunks[number])

        cache = GradCache(
            encode,
            [chunk.rows for chunk in batch.chunks],
            torch.empty(2 * n, self.encoder.dim, device=device),
            num_recomputed([chunk.num_padded for chunk in batch.chunks], self.kept_tokens),
            lambda: autocast(device, precision),
        )
        queries, passages = cache.vectors[:n], cache.vectors[n:]
        found = self.loss(queries, passages, batch.items, batch.passage_hashes, weights=batch.weights)
        queries.copy_(found.queries)  # gradients in the place of the vectors: a large batch needs no second buffer
        passages.copy_(found.passages)
        cache.backward(cache.vectors)
        return cache.surrogate(cache.vectors) + self.loss.surrogate(found), found.loss, found.stats
