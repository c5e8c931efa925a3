"""InfoNCE over the negatives of all workers, from which rows that are not negatives are taken out."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hbt_ray.model.gather import all_gather, gather_rows, world
from hbt_ray.model.temperature import Temperature


@dataclass(frozen=True, kw_only=True)
class LossStats:
    """What one loss says about this worker's n queries; detached, on the loss's device (no host sync)."""

    row_loss: Tensor
    """[n] float32: each query's own loss, for sums per language pair."""
    row_correct: Tensor
    """[n] bool: the positive scored strictly above every negative of the row."""
    num_masked: Tensor
    """0-dim int64: negatives taken out of this worker's [n, N] scores."""
    temperature: Tensor
    """0-dim float32: what the cosines were divided by."""

    @property
    def accuracy(self) -> Tensor:
        """0-dim float32: share of queries whose positive came first in the batch, from 0 to 1."""
        return self.row_correct.float().mean()


def same_mask(
    items: Tensor, all_items: Tensor, hashes: Tensor | None = None, all_hashes: Tensor | None = None
) -> Tensor:
    """Rows of the global batch that are the same item or share the passage text: [n], [N] -> bool [n, N].

    Symmetric in query and passage: row i's query and row j's passage are no pair of negatives when
    the items are equal (a translation of one another) or the passage of i reads as that of j.
    """
    same = items[:, None] == all_items[None, :]
    if hashes is not None and all_hashes is not None:
        same |= hashes[:, None] == all_hashes[None, :]
    return same


def info_nce(
    queries: Tensor,
    passages: Tensor,
    *,
    temperature: float | Tensor,
    offset: int,
    query_items: Tensor,
    passage_items: Tensor,
    passage_hashes: Tensor | None = None,
    all_queries: Tensor | None = None,
    row_weights: Tensor | None = None,
) -> tuple[Tensor, LossStats]:
    """Mean over the local queries of -log softmax of the positive's score among the passages of all workers.

    L_i = -log( exp(q_i.p_i / tau) / sum over j in {i} and N_i of exp(q_i.p_j / tau) ), N_i the rows that
    are neither the same item nor share the passage text (arXiv 1807.03748, eq. 4; in-batch negatives as in
    arXiv 2004.04906). Computed in float32, whatever autocast says.

    Args:
        queries: [n, d] this worker's, L2-normalised.
        passages: [N, d] of all workers in rank order.
        temperature: tau, above 0.
        offset: row of this worker's first passage among the N (rank * n).
        query_items: [n] int64 item ids.
        passage_items: [N] int64 item ids.
        passage_hashes: [N] int64, equal where the passage text is equal; None: items alone decide.
        all_queries: [N, d] of all workers; where given, the loss is the mean of both directions
            (query to passage, passage to query), as CLIP's. The stats stay those of query to passage.
        row_weights: [n] float32, factor of each row's loss; None is 1 for all. `ContrastiveLoss` scales them so
            that they average to 1 over the global batch.

    Returns:
        The loss, 0-dim float32, and its stats.
    """
    n = len(queries)
    own = slice(offset, offset + n)
    own_hashes = None if passage_hashes is None else passage_hashes[own]
    same = same_mask(query_items, passage_items, own_hashes, passage_hashes)
    positives = torch.arange(offset, offset + n, device=queries.device)
    same.scatter_(1, positives[:, None], False)  # the positive itself always stays
    tau = torch.as_tensor(temperature, dtype=torch.float32, device=queries.device)

    scores = _scores(queries, passages, tau, same)
    row_loss = F.cross_entropy(scores, positives, reduction="none")
    loss = _mean(row_loss, row_weights)
    if all_queries is not None:
        back = _scores(passages[own], all_queries, tau, same)
        loss = (loss + _mean(F.cross_entropy(back, positives, reduction="none"), row_weights)) / 2
    stats = LossStats(
        row_loss=row_loss.detach(),
        row_correct=_beats_all(scores.detach(), positives),
        num_masked=same.sum(),
        temperature=tau.detach(),
    )
    return loss, stats


def _mean(row_loss: Tensor, row_weights: Tensor | None) -> Tensor:
    return row_loss.mean() if row_weights is None else (row_loss * row_weights).mean()


def _scores(rows: Tensor, columns: Tensor, tau: Tensor, masked: Tensor) -> Tensor:
    with torch.autocast(rows.device.type, enabled=False):
        return (rows.float() @ columns.float().T / tau).masked_fill(masked, -torch.inf)


def _beats_all(scores: Tensor, positives: Tensor) -> Tensor:
    """Strictly above, so that a collapsed encoder (all scores equal) counts as wrong, not as chance."""
    index = positives[:, None]
    best_other = scores.scatter(1, index, -torch.inf).amax(dim=1)
    return scores.gather(1, index).squeeze(1) > best_other


class ContrastiveLoss(nn.Module):
    """Gather and loss in one place: what a training step calls with its own rows.

    Each worker's loss is the mean over its own n queries, every worker has the same n, and gradients
    are averaged over workers (DDP): the result is the gradient of one process on the global batch.
    A learned temperature is a parameter of this module, so it has to be averaged as well: wrap encoder
    and loss in one module for DDP.
    """

    def __init__(
        self, *, temperature: float = 0.05, learned_temperature: bool = False, symmetric: bool = False
    ) -> None:
        """`symmetric`: also passage to query, the mean of both."""
        super().__init__()
        self.temperature = Temperature(temperature, learned=learned_temperature)
        self.symmetric = symmetric

    def forward(
        self,
        query_vectors: Tensor,
        passage_vectors: Tensor,
        items: Tensor,
        passage_hashes: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> tuple[Tensor, LossStats]:
        """This worker's vectors [n, d] x 2, items [n] int64, passage hashes [n] int64 -> (loss, stats).

        `weights` [n] float32 above 0 makes the loss of the global batch a weighted mean.
        """
        return info_nce(
            query_vectors,
            all_gather(passage_vectors),
            temperature=self.temperature(),
            offset=world()[0] * len(query_vectors),
            query_items=items,
            passage_items=gather_rows(items),
            passage_hashes=None if passage_hashes is None else gather_rows(passage_hashes),
            all_queries=all_gather(query_vectors) if self.symmetric else None,
            row_weights=None if weights is None else weights / gather_rows(weights).mean(),
        )
