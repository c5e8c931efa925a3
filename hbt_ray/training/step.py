"""Encoder and loss as one module, so that DDP sees one forward pass a step whatever happens inside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hbt_ray.model.encoder import Encoder
from hbt_ray.model.loss import ContrastiveLoss, LossStats
from hbt_ray.training.batch import Batch, Chunk


class ContrastiveStep(nn.Module):
    """Loss of a batch: encode its chunks, put the vectors back in order, compare with all workers' passages."""

    def __init__(self, encoder: Encoder, loss: ContrastiveLoss) -> None:
        super().__init__()
        self.encoder = encoder
        self.loss = loss

    def forward(self, batch: Batch) -> tuple[Tensor, LossStats]:
        """This worker's loss (0-dim, the mean over its rows) and its statistics."""
        queries = self._encode(batch.queries)
        passages = self._encode(batch.passages)
        out: tuple[Tensor, LossStats] = self.loss(
            queries, passages, batch.items, batch.passage_hashes, weights=batch.weights
        )
        return out

    def _encode(self, chunks: list[Chunk]) -> Tensor:
        """[n, dim] in the order of the slice's rows."""
        vectors = torch.cat([self.encoder(chunk.input_ids, chunk.attention_mask) for chunk in chunks])
        order = torch.cat([chunk.rows for chunk in chunks])
        return vectors[torch.argsort(order)]


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch for one step of one rank.

    Dropout is then a function of (seed, step, rank), like the plan: a resumed run draws what the uninterrupted
    one would have drawn, and no generator state has to be carried over a restart.
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) % 2**63
    torch.manual_seed(mixed)
