"""The other way of `info_nce`: each passage finds its own query among the queries of all workers.

L_i = -log( exp(p_i.q_i / tau) / sum over j in {i} and N_i of exp(p_i.q_j / tau) )

N_i are the queries of the global batch but for those whose passage is of the same item or passage group as p_i, or has
its text; hard negatives have no queries. Requires nothing of the corpus. Half of it and half of `info_nce` is the
symmetric loss of CLIP (arXiv 2103.00020, figure 3).
"""

from torch import Tensor

from hbt_ray.losses.info_nce import Columns, contrast
from hbt_ray.losses.terms import LossStats, LossTerm, StepVectors


def passage_to_query(step: StepVectors) -> tuple[Tensor, LossStats]:
    """The term: this worker's passages against the queries of all workers."""
    assert step.all_queries is not None
    columns = Columns(vectors=step.all_queries, items=step.all_items, hashes=step.all_hashes, groups=step.all_groups)
    return contrast(step.passages, columns, step)


TERM = LossTerm(function=passage_to_query, gathers=("queries",))
