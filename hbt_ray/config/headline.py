"""The headline numbers (`Scores.headline`) by which models and trials are compared: names, words, digits, direction."""

from typing import NamedTuple


class Metric(NamedTuple):
    """A headline number for readers."""

    title: str
    """Its name in tables and sentences."""
    about: str
    """What it says, in one line."""
    digits: int = 4
    """Decimals that are printed."""
    lower_is_better: bool = False
    """Whether less of it is better."""


GAIN = "Answers among the first 10, the higher the better, over the best order."
METRICS = {
    "mono_map": Metric("mAP inside a language", "Query and passages in one language; mean over languages."),
    "cross_map": Metric(
        "mAP across languages", "Passages of one other language; mean over ordered pairs of languages."
    ),
    "pool_map": Metric("mAP in the pool", "One pool of all languages, where answers in every language should lead."),
    "mono_r1": Metric("R@1 inside a language", "Share of the answers found at the first place."),
    "cross_r1": Metric("R@1 across languages", "The same among the passages of another language."),
    "pool_r10": Metric("R@10 in the pool", "Share of the answers of all languages in the pool's first 10."),
    "mono_ndcg10": Metric("nDCG@10 inside a language", GAIN),
    "mono_r100": Metric("R@100 inside a language", "Share of the answers among the first 100."),
    "pool_ndcg10": Metric("nDCG@10 in the pool", "The same discounted gain in the pool of all languages."),
    "rank_distance": Metric(
        "Rank distance",
        "Places between the first and the last parallel answer in the pool; lower is fairer.",
        digits=1,
        lower_is_better=True,
    ),
    "worst_lang_map": Metric("Worst language", "Lowest mAP in the pool of any query language."),
    "worst_pair_map": Metric("Worst pair", "Lowest mAP of any ordered pair of two languages."),
}
"""Name -> what readers are told of it; the one glossary of every table, page and message."""
HEADLINE = tuple(METRICS)
LOWER_IS_BETTER = frozenset(name for name, metric in METRICS.items() if metric.lower_is_better)

MADE = {
    "overall_map": Metric("mAP overall", "Mean of mAP inside a language, across languages and in the pool."),
    "traffic_map": Metric("mAP of the traffic", "Mean over pairs of languages, weighted by tune.traffic."),
}
"""Numbers that a study's report makes of scores; trials do not record them."""
ABOUT = {**METRICS, **MADE}
"""All numbers that reports speak of."""
