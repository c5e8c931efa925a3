"""InfoNCE with several positives: each query finds its item's passages in the other languages of the batch.

L_i = mean over p in P_i of -log( e(p) / (e(p) + sum over n in N_i of e(n)) ), with e(x) = exp(q_i.x / tau)

P_i are the row's own passage and the passages of its item in other languages than the query's; N_i is as in `info_nce`.
A positive is not in the denominator of another. Where an item is in the batch once, this is `info_nce`. Made for
`plan.pairs=multiway`; requires nothing of the corpus. Source: L_out of SupCon (arXiv 2004.11362, eq. 2), without the
other positives in the denominator.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hbt_ray.losses.info_nce import Columns, Softmax, contrast, passages
from hbt_ray.losses.terms import LossStats, LossTerm, StepVectors


@dataclass(frozen=True, kw_only=True)
class ManyColumns(Columns):
    """Columns of which a row may have several as positives.

    Attributes:
        query_langs: int64 [R], language of each row's query, by its place in the global batch; None: all other
            passages of an item are positives.
        langs: int64 [N], language of each column.
    """

    query_langs: Tensor | None
    langs: Tensor | None

    def positive(self, own: Tensor) -> Tensor:
        """bool [n, N]: the positives of the rows whose own passages are the columns `own` [n]."""
        same = self.items[own, None] == self.items
        if self.query_langs is not None and self.langs is not None:
            same &= self.query_langs[own, None] != self.langs
        return same.scatter_(1, own[:, None], True)

    def masked(self, positives: Tensor) -> Tensor:
        return super().masked(positives) & ~self.positive(positives)

    def softmax(self, scores: Tensor, own: Tensor) -> Softmax:
        positive = self.positive(own)
        num = positive.sum(1)
        negatives = scores.masked_fill(positive, -torch.inf)
        rest = negatives.logsumexp(1, keepdim=True)
        total = torch.logaddexp(scores, rest)  # of a positive with the negatives; of no use elsewhere
        loss = (total - scores).masked_fill(~positive, 0.0).sum(1) / num
        correct = scores.masked_fill(~positive, torch.inf).amin(1) > negatives.amax(1)
        inverse = (-total).masked_fill(~positive, -torch.inf).logsumexp(1, keepdim=True)
        of_positives = (scores - total).exp() - 1
        gradient = torch.where(positive, of_positives, (negatives + inverse).exp()) / num[:, None]
        return Softmax(loss=loss, correct=correct, gradient=gradient, negatives=negatives)


def query_to_passages(step: StepVectors) -> tuple[Tensor, LossStats]:
    """The term: this worker's queries against the passages of all workers and their hard negatives."""
    assert step.all_passages is not None
    columns = passages(step.all_passages, step)
    langs = step.all_passage_langs
    if langs is not None:  # a hard negative is no item's
        langs = torch.cat([langs, langs.new_full((len(columns.items) - len(langs),), -1)])
    many = ManyColumns(**vars(columns), query_langs=step.all_query_langs, langs=langs)
    return contrast(step.queries, many, step, in_place=step.in_place)


TERM = LossTerm(function=query_to_passages, gathers=("passages", "negatives"))
