"""Headline numbers and comparisons for readers: names, figures and sentences."""

import numpy as np

from hbt_ray.evaluation.record import Comparison
from hbt_ray.evaluation.score import POOL_CUTOFF

METRICS = {
    "mono_map": ("mAP inside a language", "Question and passages in one language; mean over languages."),
    "cross_map": ("mAP across languages", "Passages of one other language; mean over ordered pairs of languages."),
    "multi_map": ("mAP in the mix", "One pool of all languages, where answers in every language should lead."),
    "mono_r1": ("R@1 inside a language", "Share of the answers found at the first place."),
    "cross_r1": ("R@1 across languages", "The same among the passages of another language."),
    "multi_r10": (
        f"R@{POOL_CUTOFF} in the mix",
        f"Share of the answers of all languages in the pool's first {POOL_CUTOFF}.",
    ),
    "mono_ndcg10": (
        "nDCG@10 inside a language",
        "Answers among the first 10, the higher the better, over the best order.",
    ),
    "mono_r100": ("R@100 inside a language", "Share of the answers among the first 100."),
    "multi_ndcg10": ("nDCG@10 in the mix", "The same discounted gain in the pool of all languages."),
    "rank_distance": (
        "Rank distance",
        "Places between the first and the last parallel answer in the pool; lower is fairer.",
    ),
    "worst_lang_map": ("Worst language", "Lowest mAP in the mix of any query language."),
    "worst_pair_map": ("Worst pair", "Lowest mAP of any ordered pair of two languages."),
}
"""Headline number -> its name for readers, and what it says in one line."""


def number(metric: str, value: float) -> str:
    """A headline number as it is printed: places with one decimal, the others with four; a dash for NaN."""
    if np.isnan(value):
        return "–"
    return f"{value:,.1f}" if metric == "rank_distance" else f"{value:.4f}"


def conclusion(comparison: Comparison) -> str:
    """Which of the two models is better, in what and by how much, in one sentence."""
    better: dict[str, list[str]] = {"a": [], "b": [], "neither": []}
    for row in comparison.differences:
        if row.verdict != "undefined":
            better[row.better].append(f"{METRICS[row.metric][0]} (by {number(row.metric, abs(row.difference))})")
    a, b, where = comparison.a, comparison.b, comparison.set_name
    if not (better["a"] or better["b"]):
        return f"No difference between {a} and {b} on {where} is more than chance."
    if better["a"] and better["b"]:
        return f"A trade on {where}: {b} is better in {listed(better['b'])}; {a} is better in {listed(better['a'])}."
    best, other, rows = (b, a, better["b"]) if better["b"] else (a, b, better["a"])
    rest = len(better["neither"])
    others = f"; the other {f'{rest} differences are' if rest > 1 else 'difference is'} noise" if rest else ""
    return f"{best} is really better than {other} on {where}: in {listed(rows)}{others}."


def listed(words: list[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
