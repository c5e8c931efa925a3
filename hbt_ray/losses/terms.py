"""What a term of the loss is: a function of a step's vectors, whose gradients autograd gives.

The vectors that a term gets are leaves, so that the chunks they come from may be long gone: the gradients of the leaves
go on to the gradient cache (`hbt_ray.model.grad_cache`). A term that knows its gradients in closed form is a
`torch.autograd.Function` (`info_nce`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Texts = Literal["queries", "passages", "negatives"]


@dataclass(frozen=True, kw_only=True)
class LossStats:
    """What a term says about this worker's n rows; detached, on the loss's device (no host sync)."""

    row_loss: Tensor
    """[n] float32: each row's own loss, for sums per language pair."""
    row_correct: Tensor
    """[n] bool: the positive scored strictly above every negative of the row."""
    num_masked: Tensor
    """0-dim int64: negatives taken out of this worker's [n, N] scores."""
    num_false: Tensor
    """0-dim int64: negatives left in them that are the row's own passage in some language; 0 if the masks are right."""


@dataclass(frozen=True, kw_only=True)
class StepVectors:
    """What a term may read of a step: this worker's n rows, and the N rows of all workers in rank order.

    A term's gradients with respect to rows of all workers are summed over the workers, and each gets those of its own.

    Attributes:
        queries, passages: [n, d] L2-normalised.
        all_queries, all_passages: [N, d]; None unless a term gathers them.
        all_negatives: [N, k, d], k wrong answers to each query (hard negatives); None unless a term gathers them, and
            where there are none.
        all_items: int64 [N]; rows of one item are never each other's negatives.
        all_hashes: int64 [N]; neither are rows that share the passage text. None: no text is shared.
        all_groups: int64 [N]; neither are rows whose items share a passage in some language. None: no items do.
        all_query_langs, all_passage_langs: int64 [N], languages of the rows' two texts; None: unknown.
        all_negative_hashes, all_negative_groups: int64 [N, k], the same for hard negatives.
        all_negative_present: bool [N, k], False where a row has fewer than k; None: all have k.
        positions: int64 [n], which of the N rows are this worker's.
        weights: float32 [n], factor of each row's loss, 1 in the mean over all workers; None is 1 for all.
        temperature: 0-dim float32, by which cosines are divided.
        tile: similarities to compute at once; 0 is a default of the device.
        in_place: the gradient of `queries` may take their place.
    """

    queries: Tensor
    passages: Tensor
    all_queries: Tensor | None
    all_passages: Tensor | None
    all_negatives: Tensor | None
    all_items: Tensor
    all_hashes: Tensor | None
    all_groups: Tensor | None
    all_query_langs: Tensor | None
    all_passage_langs: Tensor | None
    all_negative_hashes: Tensor | None
    all_negative_groups: Tensor | None
    all_negative_present: Tensor | None
    positions: Tensor
    weights: Tensor | None
    temperature: Tensor
    tile: int
    in_place: bool


@dataclass(frozen=True, kw_only=True)
class LossTerm:
    """An entry of `LOSSES`.

    Attributes:
        function: a step's vectors -> loss, 0-dim, the mean over this worker's rows, and what there is to say of them.
        gathers: whose vectors of all workers the function reads.
    """

    function: Callable[[StepVectors], tuple[Tensor, LossStats | None]]
    gathers: tuple[Texts, ...] = ()
