"""The loss of a step: the weighted sum of its terms, with negatives of all workers, and its gradients."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hbt_ray.errors import ConfigError
from hbt_ray.losses import info_nce, multiway, symmetric
from hbt_ray.losses.temperature import Temperature
from hbt_ray.losses.terms import LossStats, LossTerm, StepVectors
from hbt_ray.model.gather import gather_rows, sum_own_rows, world

LOSSES: dict[str, LossTerm] = {"info_nce": info_nce.TERM, "symmetric": symmetric.TERM, "multiway": multiway.TERM}
"""The terms by their names in `model.losses`."""


@dataclass(frozen=True, kw_only=True)
class LossGradients:
    """A worker's loss and the gradients of all workers' losses with respect to its own vectors; detached.

    Attributes:
        loss: 0-dim float32, the mean over this worker's rows.
        stats: of the first term that has any; else every row has the loss, and none is correct.
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
    """Gather, terms and gradients in one place: what a training step calls with its own vectors.

    It gives gradients instead of a graph, so that the vectors may come from chunks whose activations are long gone
    (`hbt_ray.model.grad_cache`). Each worker's loss is the mean over its own n rows, every worker has the same n, and
    gradients of parameters are averaged over workers (DDP): the result is the gradient of one process on the global
    batch.
    """

    def __init__(
        self,
        losses: Mapping[str, float] | None = None,
        *,
        temperature: float = 0.05,
        learned_temperature: bool = False,
        tile: int = 0,
    ) -> None:
        """
        Args:
            losses: term -> weight, above 0; None is `info_nce` alone.
            temperature: as in `Temperature`, like `learned_temperature`.
            learned_temperature: whether it is a parameter.
            tile: similarities computed at once, 0 is a default of the device. Changes only memory and rounding.

        Raises:
            ConfigError: there is no such term, or the temperature is out of range.
        """
        super().__init__()
        self.losses = dict(losses or {"info_nce": 1.0})
        if unknown := sorted(self.losses.keys() - LOSSES.keys()):
            raise ConfigError(f"model.losses.{unknown[0]}: there is no such term; there are {', '.join(LOSSES)}")
        self.temperature = Temperature(temperature, learned=learned_temperature)
        self.tile = tile

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
        groups: Tensor | None = None,
        negative_groups: Tensor | None = None,
        query_langs: Tensor | None = None,
        passage_langs: Tensor | None = None,
        in_place: bool = False,
    ) -> LossGradients:
        """Loss and gradients of this worker's rows.

        Args:
            queries, passages: [n, d] L2-normalised.
            items, passage_hashes, groups, query_langs, passage_langs, negatives, negative_hashes, negative_groups,
                negative_present: this worker's part of what `StepVectors` has of all.
            weights: float32 [n] above 0; the loss of the global batch is then a weighted mean.
            in_place: the queries' gradient may take the queries' place.
        """
        gathers = {texts for name in self.losses for texts in LOSSES[name].gathers}
        named = {"passages": passages, "queries": queries, "negatives": negatives}
        vectors = {name: tensor for name, tensor in named.items() if name in gathers and tensor is not None}
        labels = {
            "items": items,
            "hashes": passage_hashes,
            "groups": groups,
            "query_langs": query_langs,
            "passage_langs": passage_langs,
            "weights": weights,
            "negative_hashes": negative_hashes,
            "negative_groups": negative_groups,
            "negative_present": negative_present,
        }
        present = vectors | {name: tensor for name, tensor in labels.items() if tensor is not None}
        everyone = dict(zip(present, gather_rows(list(present.values())), strict=True))
        rank, n = world()[0], len(queries)
        leaves = {"queries": queries, "passages": passages, "temperature": self.temperature()}
        leaves |= {f"all_{name}": everyone[name] for name in vectors}
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in leaves.items()}
        step = StepVectors(
            **dict.fromkeys(("all_queries", "all_passages", "all_negatives")) | leaves,  # type: ignore[arg-type]
            all_items=everyone["items"],
            all_hashes=everyone.get("hashes"),
            all_groups=everyone.get("groups"),
            all_query_langs=everyone.get("query_langs"),
            all_passage_langs=everyone.get("passage_langs"),
            all_negative_hashes=everyone.get("negative_hashes"),
            all_negative_groups=everyone.get("negative_groups"),
            all_negative_present=everyone.get("negative_present"),
            positions=torch.arange(rank * n, rank * n + n, device=queries.device),
            weights=None if weights is None else weights / everyone["weights"].mean(),
            tile=self.tile,
            in_place=in_place and len(self.losses) == 1,
        )
        with torch.enable_grad(), torch.autocast(queries.device.type, enabled=False):
            results = [(weight, *LOSSES[name].function(step)) for name, weight in self.losses.items()]
            loss = torch.stack([weight * value for weight, value, _ in results]).sum()
            gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        stats = next((stats for _, _, stats in results if stats is not None), _no_stats(loss.detach(), n))
        of = dict(zip(leaves, gradients, strict=True))
        # a term may have made no use of them on this worker: all workers bring the same tensors nevertheless
        summed = [_present(of[f"all_{name}"], leaves[f"all_{name}"]) for name in vectors]
        from_all = dict(zip(vectors, sum_own_rows(summed), strict=True)) if vectors else {}
        return LossGradients(
            loss=loss.detach(),
            stats=stats,
            queries=_total(queries, of["queries"], from_all.get("queries")),
            passages=_total(passages, of["passages"], from_all.get("passages")),
            negatives=None if negatives is None else _total(negatives, None, from_all.get("negatives")),
            temperature=_present(of["temperature"], leaves["temperature"]),
        )

    def surrogate(self, gradients: LossGradients) -> Tensor | float:
        """A scalar whose gradient is that of the loss's own parameters; 0 where it has none."""
        return self.temperature() * gradients.temperature if self.temperature.learned else 0.0


def _no_stats(loss: Tensor, n: int) -> LossStats:
    correct = torch.zeros(n, dtype=torch.bool, device=loss.device)
    return LossStats(row_loss=loss.expand(n), row_correct=correct, num_masked=correct.sum(), num_false=correct.sum())


def _present(gradient: Tensor | None, of: Tensor) -> Tensor:
    return torch.zeros_like(of) if gradient is None else gradient


def _total(of: Tensor, *gradients: Tensor | None) -> Tensor:
    """Sum of the gradients that there are of a tensor."""
    present = [gradient for gradient in gradients if gradient is not None]
    return sum(present[1:], present[0]) if present else torch.zeros_like(of)
