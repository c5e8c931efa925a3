"""What the numbers of an evaluation mean, in plain words.

The adjectives are rules of thumb, stated in `RULES`; the numbers stand beside them wherever they are used.
"""

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.config.headline import METRICS
from hbt_ray.evaluation.evaluate import Comparison, Evaluation
from hbt_ray.kit.prose import Level, Statement, listed, number
from hbt_ray.languages import code_and_name, in_lang
from hbt_ray.retrieval.scoring.bias import worst_lang, worst_pair
from hbt_ray.retrieval.scoring.distinct import num_passage_langs, num_query_langs
from hbt_ray.retrieval.scoring.metrics import nan_mean
from hbt_ray.retrieval.scoring.score import Scores

GOOD_MAP, FAIR_MAP = 0.7, 0.4
HOLDS, LOSES = 0.9, 0.7
OWN_GOOD, OWN_FAIR = 0.1, 0.3
SPREAD_GOOD, SPREAD_FAIR = 0.01, 0.1
SHARE_MARGIN = 0.1
"""Share above or below what is due, relative to it, from which a language is called out."""
NUM_CALLED_OUT = 3
RULES = (
    f"Inside a language: good from mAP {GOOD_MAP}, fair from {FAIR_MAP}, else poor.",
    f"Across languages and in the pool: holds from {HOLDS:.0%} of the value inside, loses from {LOSES:.0%}, "
    "else breaks down.",
    f"The worst served language: poor below half the mean of the languages, fair below {LOSES:.0%} of it.",
    f"Own language: fair when more than {OWN_GOOD:.0%} of the places are off what is due, poor from {OWN_FAIR:.0%}.",
    f"Spread: good up to {SPREAD_GOOD:.0%} of the pool beyond the least possible, fair up to {SPREAD_FAIR:.0%}.",
    f"A language is named as over- or under-represented from {SHARE_MARGIN:.0%} more or less than is due.",
)
"""The thresholds behind the adjectives, for the reader."""
WORDS: dict[str, dict[Level, str]] = {
    "Inside": {"good": "is good", "fair": "is fair", "poor": "is poor"},
    "Across": {"good": "holds", "fair": "loses", "poor": "breaks down"},
    "Pool": {"good": "holds", "fair": "loses", "poor": "breaks down"},
}


def summary(evaluation: Evaluation) -> list[Statement]:
    """Is the model good inside, across and in the pool, and whom does it disadvantage? Undefined parts are left out."""
    parts = (_inside, _across, _pool, _worst_served, _own_language, _over_and_under, _spread)
    return [statement for part in parts if (statement := part(evaluation.scores)) is not None]


def verdict(evaluation: Evaluation) -> str:
    """The summary of the summary, in one sentence."""
    levels = {statement.topic: statement.level for statement in summary(evaluation) if statement.level != "plain"}
    places = {"Inside": _inside_what(evaluation.scores), "Across": " across languages", "Pool": " in the pool"}
    by_word: dict[str, list[str]] = {}
    for topic, place in places.items():
        if topic in levels:
            by_word.setdefault(WORDS[topic][levels[topic]], []).append(place)
    if not by_word:
        return f"{evaluation.model} has no score inside a language on {evaluation.scores.name} to compare others with."
    return f"{evaluation.model} {listed([word + ' and'.join(of_word) for word, of_word in by_word.items()])}."


def conclusion(comparison: Comparison) -> str:
    """Which of the two models is better, in what and by how much, in one sentence."""
    better: dict[str, list[str]] = {"better": [], "worse": [], "not significant": [], "unknown": []}
    for row in comparison.differences:
        name = comparison.labels.get(row.metric, METRICS[row.metric][0])
        better[row.verdict].append(f"{name} (by {number(row.metric, abs(row.difference))})")
    a, b, where = comparison.a, comparison.b, comparison.set_name
    if not (better["worse"] or better["better"]):
        return f"No difference between {a} and {b} on {where} is significant."
    if better["worse"] and better["better"]:
        in_b, in_a = listed(better["better"]), listed(better["worse"])
        return f"A trade on {where}: {b} is better in {in_b}; {a} is better in {in_a}."
    best, other, rows = (b, a, better["better"]) if better["better"] else (a, b, better["worse"])
    rest = len(better["not significant"])
    others = f"; the other {f'{rest} differences are' if rest > 1 else 'difference is'} noise" if rest else ""
    return f"{best} is really better than {other} on {where}: in {listed(rows)}{others}."


def _inside(scores: Scores) -> Statement | None:
    mean, values = scores.headline()["mono_map"], np.diagonal(scores.map_matrix)
    if np.isnan(mean):
        return None
    level: Level = "good" if mean >= GOOD_MAP else "fair" if mean >= FAIR_MAP else "poor"
    extremes = ""
    if (~np.isnan(values)).sum() > 1:
        low, high = (_lang(scores, values, place) for place in (np.nanargmin(values), np.nanargmax(values)))
        extremes = f", from {low} to {high}"
    return Statement("Inside", level, f"mAP{_inside_what(scores)} is {mean:.3f}: {level}{extremes}.")


def _across(scores: Scores) -> Statement | None:
    worst, best = worst_pair(scores.map_matrix), worst_pair(-scores.map_matrix)
    if worst is None or best is None:
        return None
    pairs = f"The worst pair is {_pair(scores, worst)}, the best {_pair(scores, best)}."
    pairs = f"The only pair is {_pair(scores, worst)}." if best == worst else pairs
    return _beside_inside(scores, "Across", "Across languages", "cross_map", pairs)


def _pool(scores: Scores) -> Statement | None:
    num_langs = num_passage_langs(scores)
    if np.isnan(scores.headline()["pool_map"]) or num_langs < 2:
        return None
    return _beside_inside(scores, "Pool", f"In one pool of {num_langs} languages", "pool_map")


def _beside_inside(scores: Scores, topic: str, where: str, metric: str, rest: str = "") -> Statement:
    """A mean against that inside a language."""
    value, inside = scores.headline()[metric], scores.headline()["mono_map"]
    level: Level = "plain"
    outcome = ""
    if not np.isnan(inside):
        level = "good" if value >= HOLDS * inside else "fair" if value >= LOSES * inside else "poor"
        share = f", {value / inside:.0%} of the value inside" if inside else ""
        outcome = f"{share}: it {WORDS[topic][level]}"
    return Statement(topic, level, f"{where} mAP is {value:.3f}{outcome}. {rest}".rstrip())


def _worst_served(scores: Scores) -> Statement | None:
    lowest, num_langs = worst_lang(scores.pool_map), num_query_langs(scores)
    if lowest is None or num_langs < 2:
        return None
    mean, value, best = scores.headline()["pool_map"], scores.pool_map[lowest], int(np.nanargmax(scores.pool_map))
    below = int((scores.pool_map < mean / 2).sum())
    others = f" {below} of {num_langs} languages {'is' if below == 1 else 'are'} below half the mean." if below else ""
    level: Level = "poor" if value < mean / 2 else "fair" if value < LOSES * mean else "good"
    where = " in the pool" if num_passage_langs(scores) > 1 else ""
    return Statement(
        "Disadvantaged",
        level,
        f"Queries in {code_and_name(scores.langs[lowest])} are served worst{where}: mAP {value:.3f}, against "
        f"{scores.pool_map[best]:.3f} for {code_and_name(scores.langs[best])}.{others}",
    )


def _own_language(scores: Scores) -> Statement | None:
    if scores.share is None or num_passage_langs(scores) < 2:
        return None
    asked = ~np.isnan(scores.share.found[:, 0])
    share = float(np.diagonal(scores.share.found)[asked].mean())
    due = float(np.diagonal(scores.share.relevant)[asked].mean())
    level: Level = "good" if abs(share - due) <= OWN_GOOD else "fair" if abs(share - due) <= OWN_FAIR else "poor"
    says = "about what is due"
    if level != "good":
        says = "the model prefers that language" if share > due else "the model neglects that language"
    return Statement(
        "Own language",
        level,
        f"Of the pool's first {scores.top_k}, {share:.0%} are in the language of the query, where {due:.0%} "
        f"of the answers are: {says}.",
    )


def _over_and_under(scores: Scores) -> Statement | None:
    if scores.share is None or num_passage_langs(scores) < 2:
        return None
    due, share = scores.mean_shares()
    excess = share - due
    order, much = np.argsort(excess).tolist(), np.abs(excess) > SHARE_MARGIN * due

    def called_out(word: str, langs: list[int]) -> list[str]:
        names = [f"{code_and_name(scores.langs[row])} ({share[row]:.1%} for {due[row]:.1%} due)" for row in langs]
        return [f"{word}: {listed(names[:NUM_CALLED_OUT])}"] if names else []

    parts = [
        *called_out("over-represented", [row for row in reversed(order) if much[row] and excess[row] > 0]),
        *called_out("under-represented", [row for row in order if much[row] and excess[row] < 0]),
    ]
    if parts:
        return Statement("Over and under", "plain", f"In the pool's first {scores.top_k}, {'; '.join(parts)}.")
    text = f"No language takes {SHARE_MARGIN:.0%} more or less of the pool's first {scores.top_k} than is due."
    return Statement("Over and under", "good", text)


def _spread(scores: Scores) -> Statement | None:
    distance, pool = scores.headline()["rank_distance"], int(scores.num_passages.sum())
    if np.isnan(distance):
        return None
    largest = int(np.nanargmax(scores.rank_distance))
    most = f"; most for queries in {code_and_name(scores.langs[largest])} ({scores.rank_distance[largest]:,.0f})"
    # Parallel answers that follow each other without a gap are as many places apart as there are languages, less one.
    parallel = ~np.isnan(scores.per_query.rank_distance)
    least = float((~np.isnan(scores.per_query.pair_ap[parallel])).sum(axis=1).mean()) - 1
    over = distance - least
    return Statement(
        "Spread",
        "good" if over <= SPREAD_GOOD * pool else "fair" if over <= SPREAD_FAIR * pool else "poor",
        f"The first and the last of a query's parallel answers are {distance:,.0f} places apart on average "
        f"({least:,.0f} at best), in a pool of {pool:,}{most if num_query_langs(scores) > 1 else ''}. The last of them "
        f"stands at place {nan_mean(scores.worst_rank):,.0f} on average.",
    )


def _inside_what(scores: Scores) -> str:
    """` inside a language`, or ` in German [de]` where `mono_map` is of one language."""
    (known,) = np.nonzero(~np.isnan(np.diagonal(scores.map_matrix)))
    return in_lang(scores.langs[known[0]]) if len(known) == 1 else " inside a language"


def _lang(scores: Scores, values: FloatArray, lang: np.intp) -> str:
    return f"{values[lang]:.3f} ({code_and_name(scores.langs[lang])})"


def _pair(scores: Scores, pair: tuple[int, int]) -> str:
    query, passage = (code_and_name(scores.langs[side]) for side in pair)
    return f"{query} on {passage} ({scores.map_matrix[pair]:.3f})"
