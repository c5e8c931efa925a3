"""Every term of the loss in plain PyTorch, all similarities at once, for vectors of float64 of the whole batch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Whole:
    """The global batch, as one process sees it."""

    queries: Tensor
    passages: Tensor
    negatives: Tensor
    """[N, k, d], k may be 0."""
    negative_hashes: Tensor
    negative_groups: Tensor
    negative_present: Tensor
    items: Tensor
    hashes: Tensor
    groups: Tensor
    query_langs: Tensor
    passage_langs: Tensor
    weights: Tensor
    """[N], their mean is 1."""
    temperature: Tensor


def cross_entropy(rows: Tensor, columns: Tensor, masked: Tensor, batch: Whole) -> Tensor:
    """Weighted mean over rows whose positives are the first columns, in their order; `masked` takes others out."""
    scores = (rows @ columns.T / batch.temperature).masked_fill(masked, -torch.inf)
    losses = torch.nn.functional.cross_entropy(scores, torch.arange(len(rows)), reduction="none")
    return (losses * batch.weights).mean()


def alike(batch: Whole) -> Tensor:
    """bool [N, N]: rows, not the row itself, of one item, one passage text or one group."""
    same = (batch.items[:, None] == batch.items) | (batch.hashes[:, None] == batch.hashes)
    return (same | (batch.groups[:, None] == batch.groups)).fill_diagonal_(False)


def no_negatives(batch: Whole) -> Tensor:
    """bool [N, N * k]: hard negatives that are absent, or the row's own passage in some language."""
    same = batch.hashes[:, None] == batch.negative_hashes.flatten()
    same |= batch.groups[:, None] == batch.negative_groups.flatten()
    return same | ~batch.negative_present.flatten()


def info_nce(batch: Whole) -> Tensor:
    masked = torch.cat([alike(batch), no_negatives(batch)], dim=1)
    return cross_entropy(batch.queries, torch.cat([batch.passages, batch.negatives.flatten(0, 1)]), masked, batch)


def symmetric(batch: Whole) -> Tensor:
    return cross_entropy(batch.passages, batch.queries, alike(batch), batch)


def multiway(batch: Whole) -> Tensor:
    """Row by row, and positive by positive."""
    same, hard = alike(batch), no_negatives(batch)
    scores = batch.queries @ batch.passages.T / batch.temperature
    of_hard = batch.queries @ batch.negatives.flatten(0, 1).T / batch.temperature
    losses = []
    for row in range(len(scores)):
        others = (batch.items == batch.items[row]) & (batch.passage_langs != batch.query_langs[row])
        others[row] = True
        rest = torch.cat([scores[row][~same[row] & (torch.arange(len(scores)) != row)], of_hard[row][~hard[row]]])
        of_row = [torch.cat([one[None], rest]).logsumexp(0) - one for one in scores[row][others]]
        losses.append(torch.stack(of_row).mean())
    return (torch.stack(losses) * batch.weights).mean()


REFERENCES: dict[str, Callable[[Whole], Tensor]] = {
    "info_nce": info_nce,
    "symmetric": symmetric,
    "multiway": multiway,
}
"""Name in `LOSSES` -> the same loss."""
