"""Which headline numbers of a set say something of their own.

In a set of one language the pool of all languages is the passages of that language, so what is said of the pool is
what was said of the inside. Where nobody asks in the one language of the passages, it is what was said of the pairs
of languages. The lowest of a single language, or pair, is the mean. Such a number shown again would look like a
second finding, and tested again it would weigh twice in the correction for many tests.
"""

import numpy as np

from hbt_ray.retrieval.scoring.score import Scores


def repeated(scores: Scores) -> dict[str, str]:
    """Headline numbers that are another one on this set, whatever the model: name -> the one that says it first."""
    known = ~np.isnan(scores.map_matrix)
    inside, num_pairs = bool(known.diagonal().any()), int(known.sum() - known.diagonal().sum())
    one_pool = num_passage_langs(scores) == 1
    found: dict[str, str] = {}
    if one_pool and not num_pairs:
        found |= {"pool_map": "mono_map", "pool_ndcg10": "mono_ndcg10"}
    elif one_pool and not inside:
        found |= {"pool_map": "cross_map", "worst_pair_map": "worst_lang_map"}
    if num_query_langs(scores) == 1:
        found["worst_lang_map"] = found.get("pool_map", "pool_map")
    if num_pairs == 1:
        found["worst_pair_map"] = "cross_map"
    return found


def distinct_numbers(scores: Scores) -> dict[str, float]:
    """`Scores.headline` without the numbers that the set does not define, and without those that are repeated."""
    again = repeated(scores)
    return {name: value for name, value in scores.headline().items() if name not in again and not np.isnan(value)}


def num_query_langs(scores: Scores) -> int:
    """Languages in which something is asked."""
    return int((scores.num_queries > 0).sum())


def num_passage_langs(scores: Scores) -> int:
    """Languages that have a passage in the pool."""
    return int((scores.num_passages > 0).sum())


def num_questions(scores: Scores) -> int:
    """Different questions: parallel queries are one."""
    return len(np.unique(scores.per_query.keys))
