"""Which headline numbers of a set say something of their own, and the words for them on this set.

In a set of one language the pool of all languages is the passages of that language, so what is said of the pool is
what was said of the inside. Where nobody asks in the one language of the passages, it is what was said of the pairs
of languages. The lowest of a single language, or pair, is the mean. Such a number shown again would look like a
second finding, and tested again it would weigh twice in the correction for many tests.
"""

import numpy as np

from hbt_ray.config.headline import GAIN, METRICS
from hbt_ray.kit.prose import listed
from hbt_ray.languages import code_and_name, in_lang
from hbt_ray.retrieval.scoring.score import Scores

ONE_LANGUAGE = {
    "mono_map": ("mAP", "How far up the answers stand, all of them counted; 1 where they lead."),
    "mono_r1": ("R@1", "Share of the answers found at the first place."),
    "pool_r10": ("R@10", "Share of the answers among the first 10."),
    "mono_ndcg10": ("nDCG@10", GAIN),
    "mono_r100": ("R@100", METRICS["mono_r100"].about),
}
"""Words for numbers of METRICS where queries and passages are all in one language."""
ONE_POOL = {
    "pool_map": ("mAP of all languages", "On the passages, which are in {passages}; mean over query languages."),
    "pool_r10": ("R@10 of all languages", "Share of the answers among the first 10."),
    "pool_ndcg10": ("nDCG@10 of all languages", GAIN),
    "worst_lang_map": ("Worst language", "Lowest mAP of any query language."),
    "cross_map": ("mAP across languages", "Queries in other languages than {passages}; mean over them."),
}
"""The same where queries are in several languages and the passages in one."""
ONE_ASKS = {
    "mono_map": ("mAP inside a language", "On passages in {queries}, as the queries are."),
    "cross_map": ("mAP across languages", "On the passages of one other language; mean over these languages."),
    "worst_pair_map": ("Worst passage language", "Lowest mAP on the passages of any other language."),
}
"""The same where queries are in one language and the passages in several."""


def repeated(scores: Scores) -> dict[str, str]:
    """Headline numbers that are another one on this set, whatever the model: name -> the one that says it first."""
    known = ~np.isnan(scores.map_matrix)
    inside, num_pairs = bool(known.diagonal().any()), int(known.sum() - known.diagonal().sum())
    one_pool = num_passage_langs(scores) == 1
    same: dict[str, str] = {}
    if one_pool and not num_pairs:
        same |= {"pool_map": "mono_map", "pool_ndcg10": "mono_ndcg10"}
    elif one_pool and not inside:
        same |= {"pool_map": "cross_map", "worst_pair_map": "worst_lang_map"}
    if num_query_langs(scores) == 1:
        same["worst_lang_map"] = same.get("pool_map", "pool_map")
    if num_pairs == 1:
        same["worst_pair_map"] = "cross_map"
    return same


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


def metric_names(scores: Scores) -> dict[str, tuple[str, str]]:
    """`METRICS` of the numbers that the set defines and does not repeat, worded for the languages that it has."""
    one_asks, one_pool = num_query_langs(scores) == 1, num_passage_langs(scores) == 1
    other = {} if not (one_asks or one_pool) else ONE_LANGUAGE if is_one_language(scores) else ONE_POOL
    if one_asks and not one_pool:
        other = ONE_ASKS
    words = {
        "queries": code_and_name(scores.langs[int(scores.num_queries.argmax())]),
        "passages": code_and_name(scores.langs[int(scores.num_passages.argmax())]),
    }
    named = METRICS | other
    return {name: (named[name][0], named[name][1].format(**words)) for name in distinct_numbers(scores)}


def is_one_language(scores: Scores) -> bool:
    """Whether all queries and all passages are in one language."""
    same = ((scores.num_queries > 0) == (scores.num_passages > 0)).all()
    return num_query_langs(scores) == num_passage_langs(scores) == 1 and bool(same)


def left_out(scores: Scores) -> str:
    """Which headline numbers are not shown for this set, and why, in one line; empty where all are shown."""
    if is_one_language(scores):
        return "Queries and passages are in one language: nothing is to be said across languages or of the pool."
    again = repeated(scores)
    nan = [name for name, value in scores.headline().items() if np.isnan(value) and name not in again]
    same = [f"{METRICS[name].title} (here {METRICS[other].title})" for name, other in again.items()]
    parts = [f"not defined on this set: {listed([METRICS[name].title for name in nan])}"] if nan else []
    parts += [f"the same number as another: {listed(same)}"] if same else []
    return f"Left out: {'; '.join(parts)}." if parts else ""


def counted(scores: Scores) -> str:
    """`300 queries in English [en]`, or `13,090 queries (1,190 questions) in 11 languages`."""
    num_queries, num_langs = int(scores.num_queries.sum()), num_query_langs(scores)
    where = f" in {num_langs} languages" if num_langs > 1 else in_lang(scores.langs[int(scores.num_queries.argmax())])
    num = num_questions(scores)
    return f"{num_queries:,} queries{f' ({num:,} questions)' if num < num_queries else ''}{where}"
