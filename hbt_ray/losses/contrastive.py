"""The contrastive loss of a step: negatives of all workers, from which rows that are none are taken out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hbt_ray.losses.info_nce import Columns, InfoNCE, info_nce
from hbt_ray.losses.temperature import Temperature
from hbt_ray.model.gather import gather_rows, sum_own_rows, world


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


@dataclass(frozen=True, kw_only=True)
class LossGradients:
    """A worker's loss and the gradients of all workers' losses with respect to its own vectors; detached.

    Attributes:
        loss: 0-dim float32, the mean over this worker's rows.
        stats: of the same rows, query to passage.
        queries, passages: float32 [n, d].
        negatives: float32 [n, k, d], or None where there are none.
        temperature: 0-dim float32, of this worker's loss.
    """

    loss: Tensor
    stats: LossStats
    queries: Tensor
    passages: Tensor
    negatives: Tensor | None
    temperature: Tensor


class ContrastiveLoss(nn.Module):
    """Gather, loss and gradients in one place: what a training step calls with its own vectors.

    The loss knows its gradients in closed form and gives them instead of a graph, so that the vectors may come from
    chunks whose activations are long gone (`hbt_ray.model.grad_cache`). Each worker's loss is the mean over its own
    n queries, every worker has the same n, and gradients of parameters are averaged over workers (DDP): the result
    is the gradient of one process on the global batch.
    """

    def __init__(
        self, *, temperature: float = 0.05, learned_temperature: bool = False, symmetric: bool = False, tile: int = 0
    ) -> None:
        """`symmetric`: also passage to query, the mean of both; `tile`: as in `info_nce`."""
        super().__init__()
        self.temperature = Temperature(temperature, learned=learned_temperature)
        self.symmetric = symmetric
        self.tile = tile

    @torch.no_grad()
    def forward(
        self,
        queries: Tensor,
        passages: Tensor,
        items: Tensor,
        passage_hashes: Tensor | None = None,
        weights: Tensor | None = None,
        negatives: Tensor | None = None,
        negative_hashes: Tensor | None = None,
        negative_present: Tensor | None = None,
        in_place: bool = False,
    ) -> LossGradients:
        """Loss and gradients of this worker's rows.

        Args:
            queries, passages: [n, d] L2-normalised.
            items: int64 [n]; rows of one item are never each other's negatives.
            passage_hashes: int64 [n]; neither are rows that share the passage text. None: items alone decide.
            weights: float32 [n] above 0; the loss of the global batch is then a weighted mean.
            negatives: [n, k, d] L2-normalised, k wrong answers to each query (hard negatives). They are negatives
                of all rows, of all workers, but of those whose passage reads like them.
            negative_hashes: int64 [n, k], in the place of `passage_hashes` for them.
            negative_present: bool [n, k], False where a row has fewer than k; None: all have k.
            in_place: the queries' gradient may take the queries' place.
        """
        rank, world_size = world()
        n = len(queries)
        given = {
            "passages": passages,
            "items": items,
            "hashes": passage_hashes,
            "weights": weights,
            "queries": queries if self.symmetric else None,
            "negatives": negatives,
            "negative_hashes": negative_hashes,
            "negative_present": negative_present,
        }
        present = {name: tensor for name, tensor in given.items() if tensor is not None}
        everyone = dict(zip(present, gather_rows(list(present.values())), strict=True))
        hashes = everyone.get("hashes")
        tau = self.temperature().detach()
        factors = None if weights is None else weights / everyone["weights"].mean()
        positives = torch.arange(rank * n, rank * n + n, device=queries.device)

        ahead = _with_negatives(everyone)
        in_place &= not self.symmetric  # they are columns too
        to = info_nce(queries, ahead, positives, temperature=tau, weights=factors, tile=self.tile, in_place=in_place)
        num_rows = n * world_size
        to_queries, to_columns = to.rows, [to.columns[:num_rows]]
        to_own, loss, to_tau = None, to.loss, to.temperature
        if self.symmetric:
            columns = Columns(vectors=everyone["queries"], items=everyone["items"], hashes=hashes)
            back = info_nce(passages, columns, positives, temperature=tau, weights=factors, tile=self.tile)
            loss, to_tau = (loss + back.loss) / 2, (to_tau + back.temperature) / 2
            to_queries, to_own = to_queries / 2, back.rows / 2
            to_columns = [to_columns[0] / 2, back.columns / 2]
        if negatives is not None:
            to_columns.append(to.columns[num_rows:].view(num_rows, *negatives.shape[1:]) / (1 + self.symmetric))
        own = sum_own_rows(to_columns)
        return LossGradients(
            loss=loss,
            stats=_stats(to, tau),
            queries=to_queries + own[1] if self.symmetric else to_queries,
            passages=own[0] if to_own is None else own[0] + to_own,
            negatives=None if negatives is None else own[-1],
            temperature=to_tau,
        )

    def surrogate(self, found: LossGradients) -> Tensor | float:
        """A scalar whose gradient is that of the loss's own parameters; 0 where it has none."""
        return self.temperature() * found.temperature if self.temperature.learned else 0.0


def _with_negatives(everyone: dict[str, Tensor]) -> Columns:
    """Passages of all workers, and behind them their hard negatives, which are nobody's translation."""
    vectors, items, hashes = everyone["passages"], everyone["items"], everyone.get("hashes")
    if (negatives := everyone.get("negatives")) is None:
        return Columns(vectors=vectors, items=items, hashes=hashes)
    flat = negatives.reshape(-1, negatives.shape[-1])
    nobody = items.new_full((len(flat),), -1)
    if hashes is not None:
        hashes = torch.cat([hashes, everyone["negative_hashes"].flatten()])
    present = everyone.get("negative_present")
    if present is not None:
        present = torch.cat([present.new_ones(len(items)), present.flatten()])
    return Columns(vectors=torch.cat([vectors, flat]), items=torch.cat([items, nobody]), hashes=hashes, present=present)


def _stats(found: InfoNCE, tau: Tensor) -> LossStats:
    return LossStats(
        row_loss=found.row_loss, row_correct=found.row_correct, num_masked=found.num_masked, temperature=tau
    )
