"""Headline numbers and comparisons for readers: names, figures and sentences."""

import numpy as np

from hbt_ray.kit.prose import listed
from hbt_ray.languages import code_and_name, in_lang
from hbt_ray.retrieval.scoring.distinct import (
    distinct_numbers,
    num_passage_langs,
    num_query_langs,
    num_questions,
    repeated,
)
from hbt_ray.retrieval.scoring.score import POOL_CUTOFF, Scores

METRICS = {
    "mono_map": ("mAP inside a language", "Query and passages in one language; mean over languages."),
    "cross_map": ("mAP across languages", "Passages of one other language; mean over ordered pairs of languages."),
    "pool_map": ("mAP in the pool", "One pool of all languages, where answers in every language should lead."),
    "mono_r1": ("R@1 inside a language", "Share of the answers found at the first place."),
    "cross_r1": ("R@1 across languages", "The same among the passages of another language."),
    "pool_r10": (
        f"R@{POOL_CUTOFF} in the pool",
        f"Share of the answers of all languages in the pool's first {POOL_CUTOFF}.",
    ),
    "mono_ndcg10": (
        "nDCG@10 inside a language",
        "Answers among the first 10, the higher the better, over the best order.",
    ),
    "mono_r100": ("R@100 inside a language", "Share of the answers among the first 100."),
    "pool_ndcg10": ("nDCG@10 in the pool", "The same discounted gain in the pool of all languages."),
    "rank_distance": (
        "Rank distance",
        "Places between the first and the last parallel answer in the pool; lower is fairer.",
    ),
    "worst_lang_map": ("Worst language", "Lowest mAP in the pool of any query language."),
    "worst_pair_map": ("Worst pair", "Lowest mAP of any ordered pair of two languages."),
}
"""Headline number -> its name for readers, and what it says in one line."""
ONE_LANGUAGE = {
    "mono_map": ("mAP", "How far up the answers stand, all of them counted; 1 where they lead."),
    "mono_r1": ("R@1", "Share of the answers found at the first place."),
    "pool_r10": (f"R@{POOL_CUTOFF}", f"Share of the answers among the first {POOL_CUTOFF}."),
    "mono_ndcg10": ("nDCG@10", METRICS["mono_ndcg10"][1]),
    "mono_r100": ("R@100", METRICS["mono_r100"][1]),
}
"""The same where queries and passages are all in one language."""
ONE_POOL = {
    "pool_map": ("mAP of all languages", "On the passages, which are in {passages}; mean over query languages."),
    "pool_r10": (f"R@{POOL_CUTOFF} of all languages", f"Share of the answers among the first {POOL_CUTOFF}."),
    "pool_ndcg10": ("nDCG@10 of all languages", METRICS["mono_ndcg10"][1]),
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
    undefined = [METRICS[name][0] for name, value in scores.headline().items() if np.isnan(value) and name not in again]
    same = [f"{METRICS[name][0]} (here {METRICS[other][0]})" for name, other in again.items()]
    parts = [f"not defined on this set: {listed(undefined)}"] if undefined else []
    parts += [f"the same number as another: {listed(same)}"] if same else []
    return f"Left out: {'; '.join(parts)}." if parts else ""


def counted(scores: Scores) -> str:
    """`300 queries in English [en]`, or `13,090 queries (1,190 questions) in 11 languages`."""
    num_queries, num_langs = int(scores.num_queries.sum()), num_query_langs(scores)
    where = f" in {num_langs} languages" if num_langs > 1 else in_lang(scores.langs[int(scores.num_queries.argmax())])
    num = num_questions(scores)
    return f"{num_queries:,} queries{f' ({num:,} questions)' if num < num_queries else ''}{where}"
