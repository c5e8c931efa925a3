"""From a slice of token ids to padded tensors: sorted by length, cut into chunks that waste little padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hbt_ray.batches.slices import Slice
from hbt_ray.model.padding import chunk_by_tokens, pad_ragged


@dataclass(frozen=True)
class Chunk:
    """Texts of about the same length: ids and mask [n, t], and which row of the slice each is, [n]."""

    input_ids: Tensor
    attention_mask: Tensor
    rows: Tensor

    def to(self, device: torch.device) -> Chunk:
        """The chunk on `device`, copied asynchronously where it lies in pinned memory."""
        return Chunk(*(t.to(device, non_blocking=True) for t in (self.input_ids, self.attention_mask, self.rows)))


@dataclass(frozen=True)
class Batch:
    """One worker's slice of a step, ready for the encoder.

    Attributes:
        step, monolingual: as in the plan.
        queries, passages: chunks that together hold every row once.
        items, passage_hashes: [n] int64.
        weights: [n] float32.
        num_tokens, num_padded: tokens of the slice, and with padding.
    """

    step: int
    monolingual: bool
    queries: list[Chunk]
    passages: list[Chunk]
    items: Tensor
    passage_hashes: Tensor
    weights: Tensor
    num_tokens: int
    num_padded: int

    def __len__(self) -> int:
        return len(self.items)

    def to(self, device: torch.device) -> Batch:
        """The batch on `device`."""
        return Batch(
            self.step,
            self.monolingual,
            [chunk.to(device) for chunk in self.queries],
            [chunk.to(device) for chunk in self.passages],
            self.items.to(device, non_blocking=True),
            self.passage_hashes.to(device, non_blocking=True),
            self.weights.to(device, non_blocking=True),
            self.num_tokens,
            self.num_padded,
        )


def collate(part: Slice, *, pad_id: int, token_budget: int, pin: bool = False) -> Batch:
    """A slice as padded chunks of at most `token_budget` padded tokens; `pin` for copies to a GPU."""
    queries = _chunks(part.query_values, part.query_lengths, pad_id, token_budget, pin)
    passages = _chunks(part.passage_values, part.passage_lengths, pad_id, token_budget, pin)
    return Batch(
        step=part.step,
        monolingual=part.monolingual,
        queries=queries,
        passages=passages,
        items=_tensor(part.items, pin),
        passage_hashes=_tensor(part.passage_hashes, pin),
        weights=_tensor(part.weights, pin),
        num_tokens=int(part.query_lengths.sum() + part.passage_lengths.sum()),
        num_padded=sum(chunk.input_ids.numel() for chunk in (*queries, *passages)),
    )


def _chunks(values: np.ndarray, lengths: np.ndarray, pad_id: int, token_budget: int, pin: bool) -> list[Chunk]:
    offsets = np.r_[0, np.cumsum(lengths)]
    out = []
    for rows in chunk_by_tokens(lengths, token_budget):
        flat = np.concatenate([values[offsets[row] : offsets[row + 1]] for row in rows])
        ids, mask = pad_ragged(flat, lengths[rows], pad_id)
        out.append(Chunk(_tensor(ids, pin), _tensor(mask, pin), _tensor(rows, pin)))
    return out


def _tensor(array: np.ndarray[Any, Any], pin: bool) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array) if array.flags.writeable else array.copy())
    return tensor.pin_memory() if pin else tensor
