"""InfoNCE: each query finds its passage among those of all workers.

L_i = -log( exp(q_i.p_i / tau) / sum over j in {i} and N_i of exp(q_i.p_j / tau) )

N_i are the passages of the global batch and their hard negatives, but for those of the same item as p_i, with its text,
or of an item that shares a passage with p_i's in any language. Requires nothing of the corpus; hard negatives take part
where it has them. Source: arXiv 1807.03748, eq. 4; in-batch negatives as in arXiv 2004.04906.

Loss and gradients are computed in blocks of rows, so that the matrix of all similarities is never there at once. A
block of rows against all columns gives the row's whole softmax, so a block is finished in one go: memory grows with
rows x tile, not with rows x columns x the tensors that autograd would keep.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hbt_ray.losses.terms import LossStats, LossTerm, StepVectors
from hbt_ray.model.precision import at_least_float32

TILE = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Similarities computed at once: 4 MiB of float32, about a core's cache; 256 MiB on a GPU."""


@dataclass(frozen=True, kw_only=True)
class Softmax:
    """What a block of n rows comes to against N columns.

    Attributes:
        loss: [n].
        correct: bool [n], whether every positive of the row is above all its negatives.
        gradient: [n, N], of each row's loss with respect to its scores; a row's sum is 0.
        negatives: [n, N], the scores of the negatives, -inf elsewhere.
    """

    loss: Tensor
    correct: Tensor
    gradient: Tensor
    negatives: Tensor


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What rows are compared with.

    Attributes:
        vectors: [N, d] L2-normalised.
        items: int64 [N], item of each column; negative for columns that are nobody's translation.
        hashes: int64 [N], equal where the passage text is equal; None: no text is shared.
        groups: int64 [N], equal where the items share a passage in some language; None: no items do.
        present: bool [N], False for columns that hold nothing and are nobody's negatives; None: all hold one.
    """

    vectors: Tensor
    items: Tensor
    hashes: Tensor | None
    groups: Tensor | None = None
    present: Tensor | None = None

    def masked(self, positives: Tensor) -> Tensor:
        """bool [n, N]: columns that are no negatives of the row, its positive (`positives` [n]) not among them."""
        same = self.items[positives, None] == self.items[None, :]
        for of_passage in (self.hashes, self.groups):
            if of_passage is not None:
                same |= of_passage[positives, None] == of_passage[None, :]
        return same.scatter_(1, positives[:, None], False)

    def softmax(self, scores: Tensor, own: Tensor) -> Softmax:
        """Of `scores` [n, N] (-inf: no negative), whose place the gradient may take; `own` [n] are the positives."""
        index = own[:, None]
        positive, negatives = scores.gather(1, index).squeeze(1), scores.scatter(1, index, -torch.inf)
        # Strictly above, so that a collapsed encoder (all scores equal) counts as wrong, not as chance.
        correct = positive > negatives.amax(1)
        total = scores.logsumexp(1)
        loss = total - positive
        gradient = scores.sub_(total[:, None]).exp_()
        gradient.scatter_add_(1, index, gradient.new_full(index.shape, -1.0))
        return Softmax(loss=loss, correct=correct, gradient=gradient, negatives=negatives)

    def num_false(self, scores: Tensor, positives: Tensor) -> Tensor:
        """0-dim int64: negatives in `scores` [n, N] (-inf: none) that are the row's passage, in whatever language."""
        same = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
        for of_passage in (self.hashes, self.groups):
            if of_passage is not None:
                same |= of_passage[positives, None] == of_passage
        return (same & (scores > -torch.inf)).sum()


def query_to_passage(step: StepVectors) -> tuple[Tensor, LossStats]:
    """The term: this worker's queries against the passages of all workers and their hard negatives."""
    assert step.all_passages is not None
    return contrast(step.queries, passages(step.all_passages, step), step, in_place=step.in_place)


TERM = LossTerm(function=query_to_passage, gathers=("passages", "negatives"))


def passages(vectors: Tensor, step: StepVectors) -> Columns:
    """Passages of all workers, and behind them their hard negatives, which are nobody's translation."""
    items, present = step.all_items, step.all_negative_present
    hashes, groups = step.all_hashes, step.all_groups
    if step.all_negatives is None:
        return Columns(vectors=vectors, items=items, hashes=hashes, groups=groups)
    flat = step.all_negatives.flatten(0, 1)
    if hashes is not None:
        assert step.all_negative_hashes is not None
        hashes = torch.cat([hashes, step.all_negative_hashes.flatten()])
    if groups is not None:
        assert step.all_negative_groups is not None
        groups = torch.cat([groups, step.all_negative_groups.flatten()])
    if present is not None:
        present = torch.cat([present.new_ones(len(items)), present.flatten()])
    nobody = items.new_full((len(flat),), -1)
    return Columns(
        vectors=torch.cat([vectors, flat]),
        items=torch.cat([items, nobody]),
        hashes=hashes,
        groups=groups,
        present=present,
    )


def contrast(rows: Tensor, columns: Columns, step: StepVectors, *, in_place: bool = False) -> tuple[Tensor, LossStats]:
    """InfoNCE of `rows` [n, d] against columns, where row i's positive is column `step.positions[i]`.

    In float32, or float64 for vectors of float64. `in_place`: the rows' gradient takes the rows' place.
    """
    loss, row_loss, row_correct, num_masked, num_false = _InfoNCE.apply(  # type: ignore[no-untyped-call]
        rows, columns.vectors, step.temperature, columns, step, in_place
    )
    return loss, LossStats(row_loss=row_loss, row_correct=row_correct, num_masked=num_masked, num_false=num_false)


class _InfoNCE(torch.autograd.Function):
    """The loss with its gradients, which are known as soon as it is: with P the softmax, dL_i/ds_ij = P_ij - [j = i].

    The backward pass gives them once, and scales them where they are.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        vectors: Tensor,
        temperature: Tensor,
        columns: Columns,
        step: StepVectors,
        in_place: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        device, dtype = rows.device, at_least_float32(rows.dtype)
        n, positives = len(rows), step.positions
        vectors, tau = vectors.to(dtype), temperature.to(dtype)
        factors = (torch.ones(n, device=device) if step.weights is None else step.weights).to(dtype) / n
        row_loss, row_correct = rows.new_empty(n, dtype=dtype), torch.empty(n, dtype=torch.bool, device=device)
        to_rows = rows.detach() if in_place and rows.dtype == dtype else rows.new_empty(rows.shape, dtype=dtype)
        to_columns = torch.zeros_like(vectors)
        to_tau, num_masked = torch.zeros_like(tau), torch.zeros((), dtype=torch.int64, device=device)
        num_false = torch.zeros_like(num_masked)
        absent = None if columns.present is None else ~columns.present
        height = max(1, (step.tile or TILE.get(device.type, TILE["cuda"])) // max(len(vectors), 1))
        with torch.autocast(device.type, enabled=False):
            for block in (slice(start, start + height) for start in range(0, n, height)):
                part, index = rows[block].to(dtype), positives[block, None]
                cosines = part @ vectors.T
                masked = columns.masked(positives[block])
                num_masked += masked.sum()
                if absent is not None:
                    masked |= absent
                scores = (cosines / tau).masked_fill_(masked, -torch.inf)
                found = columns.softmax(scores, positives[block])
                row_loss[block], row_correct[block], by_score = found.loss, found.correct, found.gradient
                num_false += columns.num_false(found.negatives, positives[block])
                by_score *= factors[block, None]
                to_columns.addmm_(by_score.T, part)
                torch.matmul(by_score, vectors, out=to_rows[block])  # the block's own rows are no longer needed
                # by_score sums to 0 in a row, so any shift of the row may be taken out: less is lost to rounding
                to_tau -= (by_score * (cosines - cosines.gather(1, index))).sum()
            loss = (row_loss * factors).sum()
            ctx.gradients = to_rows.div_(tau), to_columns.div_(tau), to_tau / tau.square()
        ctx.mark_non_differentiable(row_loss, row_correct, num_masked, num_false)
        return loss, row_loss, row_correct, num_masked, num_false

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_rows, to_columns, to_tau = ctx.gradients
        del ctx.gradients
        return to_rows.mul_(gradients[0]), to_columns.mul_(gradients[0]), to_tau * gradients[0], None, None, None
