"""The gates of a recipe applied to the scores of one model, with the champion's scores beside them.

Models are compared as they are, not the ways in which they were trained: the tests say what other questions could have
changed, and nothing of other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.config import GatesConfig
from hbt_ray.config.headline import METRICS
from hbt_ray.errors import ConfigError
from hbt_ray.kit.prose import number
from hbt_ray.languages import code_and_name
from hbt_ray.retrieval.scoring.cells import headline_cells
from hbt_ray.retrieval.scoring.distinct import repeated
from hbt_ray.retrieval.scoring.score import POOL_CUTOFF, Scores
from hbt_ray.retrieval.scoring.significance import check_same_set, compare
from hbt_ray.stats.compare import LEVEL, NUM_FLIPS, Difference, correct, sign_flip_test

NO_CHAMPION = "no champion yet"
IS_CHAMPION = "it is the champion itself"
"""Why a gate that compares with the champion had nothing to compare with; it is passed unseen."""
WHERE = {"pool_map": "in the pool", "mono_map": "inside the language"}
"""Numbers in which each language of the question is compared."""


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One gate on one set."""

    gate: str
    """Field of `gates`, with the number it looks at where that has several."""
    on_set: str
    passed: bool
    reason: str
    """The numbers, in a sentence."""

    @property
    def checked(self) -> bool:
        """Whether there was anything to hold the model against."""
        return self.reason not in (NO_CHAMPION, IS_CHAMPION)

    @property
    def verdict(self) -> str:
        """For readers."""
        return "FAILED" if not self.passed else "passed" if self.checked else "not checked"


class LangLoss(NamedTuple):
    """The candidate (b) against the champion (a) in one language of the question; the interval is not computed."""

    lang: str
    num_questions: int
    row: Difference

    @property
    def loss(self) -> float:
        """Above 0 where the candidate is worse."""
        return -self.row.difference

    def __str__(self) -> str:
        row = self.row
        return f"{code_and_name(self.lang)} {WHERE[row.metric]} {row.a:.4f} -> {row.b:.4f} (p = {row.p_adjusted:.3g})"


def check_gates(
    config: GatesConfig,
    candidate: Mapping[str, Scores],
    champion: Mapping[str, Scores] | None,
    without: str = NO_CHAMPION,
) -> list[GateResult]:
    """Every gate that is set, on every set of `candidate` (name -> scores); without a champion no loss is possible.

    `without` says why there is none.

    Raises:
        EvaluationError: the two were scored on different questions of a set, or a set has a single one.
        ConfigError: no gate is set, so that nothing would be checked.
    """
    results = []
    for name, scores in candidate.items():
        theirs = None if champion is None else champion[name]
        if theirs is not None:
            check_same_set(theirs, scores)
        for gate in GATES.values():
            results += [
                GateResult(
                    gate=of, on_set=name, passed=bool(passed), reason=without if reason == NO_CHAMPION else reason
                )
                for of, passed, reason in gate(config, scores, theirs)
            ]
    if not results:
        raise ConfigError(
            "gates: none is set, so nothing would be checked; set one, e.g. gates.max_loss_per_language=0"
        )
    return results


Verdicts = Iterator[tuple[str, bool, str]]
"""(gate, whether it is passed, reason); none where the gate is not set."""


def _min_scores(config: GatesConfig, scores: Scores, champion: Scores | None) -> Verdicts:
    headline = scores.headline()
    for name, least in config.minima.items():
        yield f"min_scores: {name}", *_at_least(METRICS[name][0], name, headline[name], least)


def _max_rank_distance(config: GatesConfig, scores: Scores, champion: Scores | None) -> Verdicts:
    most = config.max_rank_distance
    if most is not None:
        value = scores.headline()["rank_distance"]
        ends = _number("rank_distance", value), _number("rank_distance", most)
        yield "max_rank_distance", value <= most, f"rank distance is {ends[0]}, at most {ends[1]} is allowed"


def _min_worst_lang_map(config: GatesConfig, scores: Scores, champion: Scores | None) -> Verdicts:
    if config.min_worst_lang_map is not None:
        yield "min_worst_lang_map", *_worst_lang(scores, "mAP", "pool_map", config.min_worst_lang_map)


def _min_worst_lang_recall(config: GatesConfig, scores: Scores, champion: Scores | None) -> Verdicts:
    if config.min_worst_lang_recall is not None:
        name = f"R@{POOL_CUTOFF}"
        yield "min_worst_lang_recall", *_worst_lang(scores, name, "pool_r10", config.min_worst_lang_recall)


def _no_loss_in(config: GatesConfig, scores: Scores, champion: Scores | None) -> Verdicts:
    if champion is None or not config.no_loss_in:
        yield from _no_champion(f"no_loss_in: {name}" for name in config.no_loss_in)
        return
    same, compared = repeated(scores), {row.metric: row for row in compare(champion, scores)}
    rows = {name: compared.get(same.get(name, name)) for name in config.no_loss_in}
    tested = correct({name: row for name, row in rows.items() if row is not None}, config.level)
    for name in config.no_loss_in:
        title = METRICS[name][0]
        if name not in tested:
            yield f"no_loss_in: {name}", False, f"{title} is not defined on {scores.name}: choose another number"
            continue
        row = tested[name]
        chance = f"p = {row.p_adjusted:.3g}, {'more than' if row.significant else 'not more than'} chance"
        reason = f"{title} is {_number(name, row.b)}, the champion's {_number(name, row.a)} ({chance})"
        yield f"no_loss_in: {name}", not row.worse, reason


def _max_loss_per_language(config: GatesConfig, scores: Scores, champion: Scores | None) -> Verdicts:
    gate, most = "max_loss_per_language", config.max_loss_per_language
    if champion is None or most is None:
        yield from _no_champion([] if most is None else [gate])
        return
    every = lang_losses(scores, champion, min_questions=config.min_questions, level=config.level)
    below = [each for each in every if each.loss > most]
    lost = sorted((each for each in below if each.row.worse), key=lambda each: -each.loss)
    # Where p could not be below the level if every question of the language spoke for a loss.
    few = [each for each in below if min(1.0, len(every) * 2.0 ** (1 - each.num_questions)) >= config.level]
    if lost:
        reason = "below the champion beyond chance: " + "; ".join(map(str, lost))
    elif few:
        named = "; ".join(f"{each}, {each.num_questions} questions" for each in few)
        reason = (
            f"below the champion, and so few questions cannot tell that from chance: {named}; gates.min_questions "
            "leaves languages with fewer out"
        )
    elif not every:
        reason = f"no language has gates.min_questions={config.min_questions} questions"
    else:
        worst = max(every, key=lambda each: each.loss)
        beyond = f" by more than {most:g}" if most else ""
        reason = f"no language is below the champion{beyond} beyond chance"
        reason += f"; the largest loss: {worst}" if worst.loss > 0 else "; none lost at all"
    yield gate, not lost and not few, reason


GATES: dict[str, Callable[[GatesConfig, Scores, Scores | None], Verdicts]] = {
    "min_scores": _min_scores,
    "max_rank_distance": _max_rank_distance,
    "min_worst_lang_map": _min_worst_lang_map,
    "min_worst_lang_recall": _min_worst_lang_recall,
    "no_loss_in": _no_loss_in,
    "max_loss_per_language": _max_loss_per_language,
}
"""Field of `gates` -> its check of the candidate's scores on a set, with the champion's where there is one."""


def lang_losses(
    candidate: Scores, champion: Scores, *, min_questions: int = 0, level: float = LEVEL, seed: int = 0
) -> list[LangLoss]:
    """Both models in every language that has `min_questions` of its own, in the numbers of `WHERE`.

    Paired permutation tests over questions, corrected for all languages and both numbers.
    """
    columns, parts = [], []
    ours, theirs = headline_cells(candidate), headline_cells(champion)
    for metric in ["pool_map"] if "pool_map" in repeated(candidate) else WHERE:
        before, after = (_by_lang(scores, metric) for scores in (champion, candidate))
        counts = ours[metric].counts.sum(axis=0)
        enough = counts >= min_questions
        columns += [
            (metric, int(at), int(num), float(before[at]), float(after[at]))
            for at, num in zip(np.flatnonzero(~np.isnan(after))[enough], counts[enough], strict=True)
        ]
        parts.append(((ours[metric].sums - theirs[metric].sums) / counts)[:, enough])
    if not columns:
        return []
    p_values = sign_flip_test(np.concatenate(parts, axis=1), num_resamples=NUM_FLIPS, seed=seed)
    rows = {
        column: Difference.of(column[0], column[3], column[4], (math.nan, math.nan), p_value)
        for column, p_value in zip(columns, p_values, strict=True)
    }
    return [LangLoss(candidate.langs[at], num, row) for (_, at, num, *_), row in correct(rows, level).items()]


def _at_least(title: str, metric: str, value: float, least: float) -> tuple[bool, str]:
    return value >= least, f"{title} is {_number(metric, value)}, at least {_number(metric, least)} is asked for"


def _worst_lang(scores: Scores, name: str, metric: str, least: float) -> tuple[bool, str]:
    values = _by_lang(scores, metric)
    known = not np.isnan(values).all()
    worst = int(np.nanargmin(values)) if known else 0
    lang = f" ({code_and_name(scores.langs[worst])})" if known else ""
    return _at_least(f"{name} in the pool of the worst language{lang}", metric, float(values[worst]), least)


def _no_champion(gates: Iterable[str]) -> Verdicts:
    """Gates that compare with the champion, where there is none."""
    for gate in gates:
        yield gate, True, NO_CHAMPION


def _by_lang(scores: Scores, metric: str) -> FloatArray:
    values: FloatArray = np.diagonal(scores.map_matrix) if metric == "mono_map" else getattr(scores, metric)
    return values


def _number(metric: str, value: float) -> str:
    return "not defined" if math.isnan(value) else number(metric, value)
