"""Texts of a slice as the chunks that a forward pass takes: sorted by length, then padded or packed.

A padded chunk is the rectangle that every Hugging Face model takes. A packed one has its texts one after the other
without padding: matrix products see real tokens only, and attention works text by text (`packed_attention`). Which
rows share a chunk changes the speed and the draws of dropout, never the loss.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.integer[Any]]
Block = tuple[int, int]
"""(number of texts, tokens of each): texts of one length that lie one after the other."""


@dataclass(frozen=True)
class PaddedChunk:
    """Texts as a rectangle.

    Attributes:
        rows: int64 [k], which of the slice's texts each is.
        input_ids: int32 [k, t], padded on the right.
        lengths: int64 [k], tokens of each text.
    """

    rows: Tensor
    input_ids: Tensor
    lengths: Tensor

    @property
    def num_padded(self) -> int:
        """Tokens that the model computes, padding included."""
        return self.input_ids.numel()

    @property
    def attention_mask(self) -> Tensor:
        """int64 [k, t], 1 = token."""
        positions = torch.arange(self.input_ids.shape[1], device=self.lengths.device)
        return (positions < self.lengths[:, None]).long()

    def to(self, device: torch.device) -> "PaddedChunk":
        """The chunk on `device`, copied asynchronously where it lies in pinned memory."""
        tensors = (self.rows, self.input_ids, self.lengths)
        return PaddedChunk(*(tensor.to(device, non_blocking=True) for tensor in tensors))


@dataclass(frozen=True)
class PackedChunk:
    """Texts one after the other.

    Attributes:
        rows: int64 [k], which of the slice's texts each is.
        input_ids: int32 [T].
        blocks: runs of texts of one length, in order; known to the host, so that no device is asked for lengths.
    """

    rows: Tensor
    input_ids: Tensor
    blocks: tuple[Block, ...]

    @property
    def num_padded(self) -> int:
        """Tokens that the model computes: no padding here."""
        return self.input_ids.numel()

    @property
    def text_of(self) -> Tensor:
        """int64 [T]: number of the text in the chunk that each token belongs to."""
        return torch.from_numpy(np.repeat(np.arange(len(self.rows)), self._lengths)).to(self.rows.device)

    @property
    def positions(self) -> Tensor:
        """int64 [T]: positions counted from 0 in each text."""
        starts = np.cumsum(self._lengths) - self._lengths
        positions = np.arange(len(self.input_ids)) - np.repeat(starts, self._lengths)
        return torch.from_numpy(positions).to(self.rows.device)

    @property
    def _lengths(self) -> npt.NDArray[np.int64]:
        return np.repeat([length for _, length in self.blocks], [num for num, _ in self.blocks])

    def to(self, device: torch.device) -> "PackedChunk":
        """The chunk on `device`, copied asynchronously where it lies in pinned memory."""
        rows, input_ids = (tensor.to(device, non_blocking=True) for tensor in (self.rows, self.input_ids))
        return PackedChunk(rows, input_ids, self.blocks)


Chunk = PaddedChunk | PackedChunk


def make_chunks(
    values: IntArray, lengths: IntArray, *, token_budget: int, packed: bool, pad_id: int, pin: bool = False
) -> Iterator[Chunk]:
    """Chunks of at most `token_budget` tokens (padding included), longest texts first.

    Args:
        values: [sum of lengths] token ids, text after text.
        lengths: [n] tokens in each text, at least 1.
        token_budget: most tokens in a chunk; a text longer than that is a chunk of its own.
        packed: without padding, else as rectangles.
        pad_id: the id put behind the texts of a rectangle.
        pin: in pinned memory, for copies to a GPU.
    """
    offsets = np.r_[0, np.cumsum(lengths, dtype=np.int64)]

    def tensor(array: npt.NDArray[Any]) -> Tensor:
        copied = torch.from_numpy(array)
        return copied.pin_memory() if pin else copied

    for rows in cut_rows(lengths, token_budget, packed=packed):
        sizes = lengths[rows].astype(np.int64)
        starts = np.cumsum(sizes) - sizes
        flat = values[np.arange(int(sizes.sum())) + np.repeat(offsets[rows] - starts, sizes)].astype(np.int32)
        if packed:
            blocks = tuple((len(list(run)), int(length)) for length, run in groupby(sizes.tolist()))
            yield PackedChunk(tensor(rows), tensor(flat), blocks)
        else:
            yield PaddedChunk(tensor(rows), tensor(pad_ragged(flat, sizes, pad_id)[0]), tensor(sizes))


def cut_rows(lengths: IntArray, token_budget: int, *, packed: bool) -> list[npt.NDArray[np.int64]]:
    """Cuts rows, longest first, into chunks of at most `token_budget` tokens, padding included.

    Longest first: a device that runs out of memory does so in the first chunk, not after an hour. A row longer than
    the whole budget is a chunk of its own. Packed chunks are as few as go, of about the same size.

    Returns:
        Index arrays that together name every row once.
    """
    if token_budget < 1:
        raise ValueError(f"token_budget is {token_budget}; it must be at least 1 token")
    if not len(lengths):
        return []
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    sizes = lengths[order].tolist()
    return np.split(order, _packed_cuts(sizes, token_budget) if packed else _padded_cuts(sizes, token_budget))


def _padded_cuts(sizes: Sequence[int], token_budget: int) -> list[int]:
    """Where chunks begin, the first left out; a chunk takes rows times its longest row, which comes first."""
    cuts, start = [], 0
    while (start := start + max(token_budget // max(sizes[start], 1), 1)) < len(sizes):
        cuts.append(start)
    return cuts


def _packed_cuts(sizes: Sequence[int], token_budget: int) -> list[int]:
    total = sum(sizes)
    # Chunks of equal shares: a full one and a small rest would take longer than two halves.
    share = -(-total // -(-total // token_budget))
    cuts, taken = [], 0
    for place, size in enumerate(sizes):
        # Past the share, or over the budget with this text; the share is passed by one text at most.
        if place and (taken >= share or taken + size > token_budget):
            cuts.append(place)
            taken = 0
        taken += size
    return cuts


def pad_ragged(values: IntArray, lengths: IntArray, pad_id: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Rows that lie one after the other in a flat array, padded on the right to the longest.

    Args:
        values: [sum of lengths] token ids, row after row.
        lengths: [n] tokens in each row.
        pad_id: the id put behind the rows.

    Returns:
        ids [n, t], and mask [n, t] (1 = token, 0 = padding).
    """
    width = int(lengths.max()) if len(lengths) else 0
    filled = np.arange(width) < lengths[:, None]
    ids = np.full(filled.shape, pad_id, dtype=np.int32)
    # Boolean assignment walks row by row, the order in which the values lie.
    ids[filled] = values
    return ids, filled.astype(np.int64)
