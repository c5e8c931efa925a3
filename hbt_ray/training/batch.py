"""From a slice of token ids to chunks of tensors: all texts of the step sorted by length, whatever their role."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hbt_ray.batches.slices import Slice
from hbt_ray.model.chunks import Chunk, make_chunks


@dataclass(frozen=True)
class HardNegatives:
    """Passages that the corpus names as wrong answers, up to k for each of n rows.

    Attributes:
        present: bool [n, k], which places hold one.
        places: int64 [m], the places that do, counted row by row.
        hashes, groups: int64 [n, k], of the texts, and of the passage groups that have them.
    """

    present: Tensor
    places: Tensor
    hashes: Tensor
    groups: Tensor

    def to(self, device: torch.device) -> HardNegatives:
        """The same on `device`."""
        tensors = (self.present, self.places, self.hashes, self.groups)
        return HardNegatives(*(tensor.to(device, non_blocking=True) for tensor in tensors))


@dataclass(frozen=True)
class Batch:
    """One worker's slice of a step, ready for the encoder.

    Texts are numbered: queries 0 .. n - 1, their passages n .. 2n - 1, hard negatives from 2n on in the order of their
    places. All are encoded with the same weights, so a chunk holds texts of like length of any role.

    Attributes:
        step, monolingual: as in the plan.
        chunks: together hold every text once.
        items, passage_hashes, groups, query_langs, passage_langs: [n] int64.
        weights: [n] float32.
        num_tokens: tokens of the slice.
        negatives: None where the corpus keeps none.
    """

    step: int
    monolingual: bool
    chunks: list[Chunk]
    items: Tensor
    passage_hashes: Tensor
    groups: Tensor
    query_langs: Tensor
    passage_langs: Tensor
    weights: Tensor
    num_tokens: int
    negatives: HardNegatives | None = None

    @property
    def num_texts(self) -> int:
        """Texts of the chunks."""
        return 2 * len(self) + (0 if self.negatives is None else len(self.negatives.places))

    def __len__(self) -> int:
        return len(self.items)

    @property
    def num_padded(self) -> int:
        """Tokens of the slice with padding."""
        return sum(chunk.num_padded for chunk in self.chunks)

    def to(self, device: torch.device) -> Batch:
        """The batch on `device`."""
        names = ("items", "passage_hashes", "groups", "query_langs", "passage_langs", "weights")
        moved: dict[str, Any] = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        negatives = None if self.negatives is None else self.negatives.to(device)
        return replace(self, chunks=[chunk.to(device) for chunk in self.chunks], negatives=negatives, **moved)


def collate(part: Slice, *, pad_id: int, token_budget: int, packed: bool = False, pin: bool = False) -> Batch:
    """A slice as chunks of at most `token_budget` tokens, padding included; `pin` for copies to a GPU."""
    places = np.flatnonzero(part.negative_lengths)
    chunks = make_chunks(
        np.concatenate([part.query_values, part.passage_values, part.negative_values]),
        np.concatenate([part.query_lengths, part.passage_lengths, part.negative_lengths[places]]),
        token_budget=token_budget,
        packed=packed,
        pad_id=pad_id,
        pin=pin,
    )
    negatives = None
    if len(part.negative_lengths):
        shape = (len(part), -1)
        negatives = HardNegatives(
            present=_tensor((part.negative_lengths > 0).reshape(shape), pin),
            places=_tensor(places, pin),
            hashes=_tensor(part.negative_hashes.reshape(shape), pin),
            groups=_tensor(part.negative_groups.reshape(shape), pin),
        )
    return Batch(
        step=part.step,
        monolingual=part.monolingual,
        chunks=list(chunks),
        items=_tensor(part.items, pin),
        passage_hashes=_tensor(part.passage_hashes, pin),
        groups=_tensor(part.groups, pin),
        query_langs=_tensor(part.query_langs.astype(np.int64), pin),
        passage_langs=_tensor(part.passage_langs.astype(np.int64), pin),
        weights=_tensor(part.weights, pin),
        num_tokens=len(part.query_values) + len(part.passage_values) + len(part.negative_values),
        negatives=negatives,
    )


def _tensor(array: np.ndarray[Any, Any], pin: bool) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array) if array.flags.writeable else array.copy())
    return tensor.pin_memory() if pin else tensor
