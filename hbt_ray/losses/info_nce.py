"""InfoNCE with its gradients, in blocks of rows, so that the matrix of all similarities is never there at once.

A block of rows against all columns gives the row's whole softmax, so loss and gradients of a block are finished in
one go: memory grows with rows x tile, not with rows x columns x the tensors that autograd would keep.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hbt_ray.model.precision import at_least_float32

TILE = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Similarities computed at once: 4 MiB of float32, about a core's cache; 256 MiB on a GPU."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What rows are compared with.

    Attributes:
        vectors: [N, d] L2-normalised.
        items: int64 [N], item of each column; negative for columns that are nobody's translation.
        hashes: int64 [N], equal where the passage text is equal; None: items alone decide.
        present: bool [N], False for columns that hold nothing and are nobody's negatives; None: all hold one.
    """

    vectors: Tensor
    items: Tensor
    hashes: Tensor | None
    present: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class InfoNCE:
    """Loss of n rows and its gradients; all detached, on the rows' device.

    Attributes:
        loss: 0-dim float32, the mean of weight times row loss.
        row_loss: float32 [n].
        row_correct: bool [n], the positive scored strictly above every negative of the row.
        num_masked: 0-dim int64, columns taken out of the rows' negatives.
        rows, columns: float32 [n, d] and [N, d], gradients of `loss`.
        temperature: 0-dim float32, gradient of `loss`.
    """

    loss: Tensor
    row_loss: Tensor
    row_correct: Tensor
    num_masked: Tensor
    rows: Tensor
    columns: Tensor
    temperature: Tensor


@torch.no_grad()
def info_nce(
    rows: Tensor,
    columns: Columns,
    positives: Tensor,
    *,
    temperature: Tensor,
    weights: Tensor | None = None,
    tile: int = 0,
    in_place: bool = False,
) -> InfoNCE:
    """-log softmax of each row's positive among the columns that are its negatives, in float32 (float64 for
    vectors of float64).

    L_i = -log( exp(r_i.c_p(i) / tau) / sum over j in {p(i)} and N_i of exp(r_i.c_j / tau) ), N_i the columns that
    are neither of the same item as the positive nor read like it (arXiv 1807.03748, eq. 4; in-batch negatives as in
    arXiv 2004.04906). With P the softmax, dL_i/ds_ij = P_ij - [j = p(i)].

    Args:
        rows: [n, d] L2-normalised.
        columns: what the rows are compared with; the positives are among them.
        positives: int64 [n], column of each row's positive.
        temperature: tau, 0-dim, above 0.
        weights: float32 [n], factor of each row's loss; None is 1 for all.
        tile: similarities computed at once; 0 is TILE. It changes nothing but memory and rounding.
        in_place: the rows' gradient takes the rows' place, where they are of the type that is computed in.
    """
    device = rows.device
    n, num_columns = len(rows), len(columns.vectors)
    dtype = at_least_float32(rows.dtype)
    vectors = columns.vectors.to(dtype)
    tau = temperature.to(dtype)
    factors = (torch.ones(n, device=device) if weights is None else weights).to(dtype) / n
    row_loss, row_correct = rows.new_empty(n, dtype=dtype), torch.empty(n, dtype=torch.bool, device=device)
    to_rows = rows if in_place and rows.dtype == dtype else rows.new_empty(rows.shape, dtype=dtype)
    to_columns = torch.zeros_like(vectors)
    to_tau, num_masked = torch.zeros_like(tau), torch.zeros((), dtype=torch.int64, device=device)
    absent = None if columns.present is None else ~columns.present
    height = max(1, (tile or TILE.get(device.type, TILE["cuda"])) // max(num_columns, 1))
    with torch.autocast(device.type, enabled=False):
        for block in (slice(start, start + height) for start in range(0, n, height)):
            own, index = rows[block].to(dtype), positives[block, None]
            cosines = own @ vectors.T
            masked = _masked(columns, positives[block])
            num_masked += masked.sum()
            if absent is not None:
                masked |= absent
            scores = (cosines / tau).masked_fill_(masked, -torch.inf)
            best, positive = scores.scatter(1, index, -torch.inf).amax(1), scores.gather(1, index).squeeze(1)
            # Strictly above, so that a collapsed encoder (all scores equal) counts as wrong, not as chance.
            row_correct[block] = positive > best
            total = scores.logsumexp(1)
            row_loss[block] = total - positive
            by_score = scores.sub_(total[:, None]).exp_()
            by_score.scatter_add_(1, index, by_score.new_full(index.shape, -1.0))
            by_score *= factors[block, None]
            to_columns.addmm_(by_score.T, own)
            torch.matmul(by_score, vectors, out=to_rows[block])  # the block's own rows are no longer needed
            # by_score sums to 0 in a row, so any shift of the row may be taken out: less is lost to rounding
            to_tau -= (by_score * (cosines - cosines.gather(1, index))).sum()
        return InfoNCE(
            loss=(row_loss * factors).sum(),
            row_loss=row_loss,
            row_correct=row_correct,
            num_masked=num_masked,
            rows=to_rows.div_(tau),
            columns=to_columns.div_(tau),
            temperature=to_tau / tau.square(),
        )


def _masked(columns: Columns, positives: Tensor) -> Tensor:
    """bool [n, N]: columns that are no negatives of the row, its positive not among them."""
    same = columns.items[positives, None] == columns.items[None, :]
    if columns.hashes is not None:
        same |= columns.hashes[positives, None] == columns.hashes[None, :]
    return same.scatter_(1, positives[:, None], False)
