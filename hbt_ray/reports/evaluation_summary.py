"""What the numbers of an evaluation say, in plain words.

The adjectives are rules of thumb, stated in `RULES`; the numbers stand beside them wherever they are used.
"""

from typing import Literal, NamedTuple

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.evaluation.record import Comparison, Evaluation
from hbt_ray.languages import code_and_name, in_lang
from hbt_ray.retrieval.scoring.bias import worst_lang, worst_pair
from hbt_ray.retrieval.scoring.distinct import num_passage_langs, num_query_langs
from hbt_ray.retrieval.scoring.metrics import nan_mean
from hbt_ray.retrieval.scoring.pool_shares import due_and_found
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.retrieval.scoring.wording import METRICS, listed, number

Level = Literal["good", "fair", "poor", "plain"]
GOOD_MAP, FAIR_MAP = 0.7, 0.4
HOLDS, LOSES = 0.9, 0.7
OWN_GOOD, OWN_FAIR = 0.1, 0.3
SPREAD_GOOD, SPREAD_FAIR = 0.01, 0.1
SHARE_MARGIN = 0.1
"""Share above or below what is due, relative to it, from which a language is called out."""
NUM_NAMED = 3
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


class Statement(NamedTuple):
    """One finding."""

    topic: str
    level: Level
    text: str


def summary(evaluation: Evaluation) -> list[Statement]:
    """Is the model good inside, across and in the pool, and whom does it disadvantage? Undefined parts are left out."""
    scores = evaluation.scores
    found = [_inside(scores), _across(scores), _mix(scores), *_disadvantaged(scores), *_own_share(scores)]
    return [statement for statement in (*found, *_shares(scores), *_parallel(scores)) if statement is not None]


def verdict(evaluation: Evaluation) -> str:
    """The summary of the summary, in one sentence."""
    by_topic = {found.topic: found.level for found in summary(evaluation) if found.level != "plain"}
    lang = _only_lang(evaluation.scores)
    inside = " inside a language" if lang is None else in_lang(lang)
    words: list[str] = []
    said = ""
    for topic, phrase in (("Inside", inside), ("Across", " across languages"), ("Pool", " in the pool")):
        if topic not in by_topic:
            continue
        word = _WORDS[topic][by_topic[topic]]
        if word == said:  # breaks down across languages and in the pool
            words[-1] += f" and{phrase}"
        else:
            words.append(f"{word}{phrase}")
        said = word
    if not words:
        return f"{evaluation.model} has no score inside a language on {evaluation.scores.name} to hold others against."
    return f"{evaluation.model} {listed(words)}."


_WORDS: dict[str, dict[Level, str]] = {
    "Inside": {"good": "is good", "fair": "is fair", "poor": "is poor"},
    "Across": {"good": "holds", "fair": "loses", "poor": "breaks down"},
    "Pool": {"good": "holds", "fair": "loses", "poor": "breaks down"},
}


def _inside(scores: Scores) -> Statement | None:
    values = np.diagonal(scores.map_matrix)
    mean = scores.headline()["mono_map"]
    if np.isnan(mean):
        return None
    level: Level = "good" if mean >= GOOD_MAP else "fair" if mean >= FAIR_MAP else "poor"
    lang = _only_lang(scores)
    where = " inside a language" if lang is None else in_lang(lang)
    return Statement("Inside", level, f"mAP{where} is {mean:.3f}: {level}{_extremes(scores, values)}.")


def _across(scores: Scores) -> Statement | None:
    headline, pair = scores.headline(), worst_pair(scores.map_matrix)
    if pair is None:
        return None
    level = _relative(headline["cross_map"], headline["mono_map"])
    best = worst_pair(-scores.map_matrix)
    assert best is not None
    pairs = f"The worst pair is {_pair(scores, pair)}, the best {_pair(scores, best)}."
    return Statement(
        "Across",
        level,
        f"Across languages mAP is {headline['cross_map']:.3f}{_of_inside(headline['cross_map'], headline['mono_map'])}"
        f"{_outcome('Across', level)}. {pairs if best != pair else f'The only pair is {_pair(scores, pair)}.'}",
    )


def _mix(scores: Scores) -> Statement | None:
    headline = scores.headline()
    mean = headline["pool_map"]
    num_langs = num_passage_langs(scores)
    if np.isnan(mean) or num_langs < 2:
        return None
    level = _relative(mean, headline["mono_map"])
    return Statement(
        "Pool",
        level,
        f"In one pool of {num_langs} languages mAP is {mean:.3f}"
        f"{_of_inside(mean, headline['mono_map'])}{_outcome('Pool', level)}.",
    )


def _disadvantaged(scores: Scores) -> list[Statement]:
    lowest, num_langs = worst_lang(scores.pool_map), num_query_langs(scores)
    if lowest is None or num_langs < 2:
        return []
    mean, value = scores.headline()["pool_map"], scores.pool_map[lowest]
    below = int((scores.pool_map < mean / 2).sum())
    others = f" {below} of {num_langs} languages {'is' if below == 1 else 'are'} below half the mean." if below else ""
    level: Level = "poor" if value < mean / 2 else "fair" if value < LOSES * mean else "good"
    where = " in the pool" if num_passage_langs(scores) > 1 else ""
    text = f"Whoever asks in {code_and_name(scores.langs[lowest])} is served worst{where}: mAP {value:.3f}"
    return [Statement("Disadvantaged", level, f"{text}{_against_best(scores)}.{others}")]


def _own_share(scores: Scores) -> list[Statement]:
    if scores.share is None or num_passage_langs(scores) < 2:
        return []
    asked = ~np.isnan(scores.share.found[:, 0])
    found = float(np.diagonal(scores.share.found)[asked].mean())
    due = float(np.diagonal(scores.share.relevant)[asked].mean())
    level: Level = "good" if abs(found - due) <= OWN_GOOD else "fair" if abs(found - due) <= OWN_FAIR else "poor"
    word = "about what is due" if level == "good" else "it prefers" if found > due else "it passes over"
    tail = "" if level == "good" else " that language"
    text = (
        f"Of the pool's first {scores.top_k}, {found:.0%} are in the language of the query, where {due:.0%} "
        f"of the answers are: {word}{tail}."
    )
    return [Statement("Own language", level, text)]


def _shares(scores: Scores) -> list[Statement]:
    if scores.share is None or num_passage_langs(scores) < 2:
        return []
    due, found = due_and_found(scores)
    excess = found - due
    order = np.argsort(excess)
    much = np.abs(excess) > SHARE_MARGIN * due

    def named(rows: list[int]) -> str:
        return listed([f"{code_and_name(scores.langs[row])} ({found[row]:.1%} for {due[row]:.1%} due)" for row in rows])

    more = [int(row) for row in order[::-1] if much[row] and excess[row] > 0][:NUM_NAMED]
    less = [int(row) for row in order if much[row] and excess[row] < 0][:NUM_NAMED]
    if not (more or less):
        text = f"No language takes {SHARE_MARGIN:.0%} more or less of the pool's first {scores.top_k} than is due."
        return [Statement("Over and under", "good", text)]
    parts = [
        f"{word}: {named(rows)}" for word, rows in (("over-represented", more), ("under-represented", less)) if rows
    ]
    return [Statement("Over and under", "plain", f"In the pool's first {scores.top_k}, {'; '.join(parts)}.")]


def _parallel(scores: Scores) -> list[Statement]:
    distance, pool = scores.headline()["rank_distance"], int(scores.num_passages.sum())
    if np.isnan(distance):
        return []
    slowest = int(np.nanargmax(scores.rank_distance))
    most = f"; most for queries in {code_and_name(scores.langs[slowest])} ({scores.rank_distance[slowest]:,.0f})"
    # Parallel answers that follow each other without a gap are as many places apart as there are languages, less one.
    parallel = ~np.isnan(scores.per_query.rank_distance)
    least = float((~np.isnan(scores.per_query.pair_ap[parallel])).sum(axis=1).mean()) - 1
    text = (
        f"The first and the last of a query's parallel answers are {distance:,.0f} places apart on average "
        f"({least:,.0f} at best), in a pool of {pool:,}{most if num_query_langs(scores) > 1 else ''}. The last of them "
        f"stands at place {nan_mean(scores.worst_rank):,.0f} on average."
    )
    over = distance - least
    level: Level = "good" if over <= SPREAD_GOOD * pool else "fair" if over <= SPREAD_FAIR * pool else "poor"
    return [Statement("Spread", level, text)]


def _relative(value: float, inside: float) -> Level:
    if np.isnan(inside):
        return "plain"
    return "good" if value >= HOLDS * inside else "fair" if value >= LOSES * inside else "poor"


def _of_inside(value: float, inside: float) -> str:
    return "" if np.isnan(inside) or inside == 0 else f", {value / inside:.0%} of the value inside"


def _outcome(topic: str, level: Level) -> str:
    return "" if level == "plain" else f": it {_WORDS[topic][level]}"


def _extremes(scores: Scores, values: FloatArray) -> str:
    if (~np.isnan(values)).sum() < 2:
        return ""
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    return (
        f", from {values[low]:.3f} ({code_and_name(scores.langs[low])}) "
        f"to {values[high]:.3f} ({code_and_name(scores.langs[high])})"
    )


def _only_lang(scores: Scores) -> str | None:
    """The language of `mono_map` where it is of one; None where it is a mean."""
    (known,) = np.nonzero(~np.isnan(np.diagonal(scores.map_matrix)))
    return scores.langs[known[0]] if len(known) == 1 else None


def _against_best(scores: Scores) -> str:
    best = int(np.nanargmax(scores.pool_map))
    return f", against {scores.pool_map[best]:.3f} for {code_and_name(scores.langs[best])}"


def _pair(scores: Scores, pair: tuple[int, int]) -> str:
    query, passage = (scores.langs[side] for side in pair)
    return f"{code_and_name(query)} on {code_and_name(passage)} ({scores.map_matrix[pair]:.3f})"


def conclusion(comparison: Comparison) -> str:
    """Which of the two models is better, in what and by how much, in one sentence."""
    better: dict[str, list[str]] = {"a": [], "b": [], "neither": []}
    for row in comparison.differences:
        name = comparison.labels.get(row.metric, METRICS[row.metric][0])
        better[row.better].append(f"{name} (by {number(row.metric, abs(row.difference))})")
    a, b, where = comparison.a, comparison.b, comparison.set_name
    if not (better["a"] or better["b"]):
        return f"No difference between {a} and {b} on {where} is more than chance."
    if better["a"] and better["b"]:
        return f"A trade on {where}: {b} is better in {listed(better['b'])}; {a} is better in {listed(better['a'])}."
    best, other, rows = (b, a, better["b"]) if better["b"] else (a, b, better["a"])
    rest = len(better["neither"])
    others = f"; the other {f'{rest} differences are' if rest > 1 else 'difference is'} noise" if rest else ""
    return f"{best} is really better than {other} on {where}: in {listed(rows)}{others}."
