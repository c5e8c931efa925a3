"""The gates of a recipe applied to the scores of one model, with the champion's scores beside them.

Models are compared as they are, not the ways in which they were trained: the tests say what other questions could have
changed, and nothing of other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.config import GatesConfig
from hbt_ray.errors import ConfigError
from hbt_ray.kit.prose import number
from hbt_ray.languages import code_and_name
from hbt_ray.retrieval.scoring.cells import headline_cells
from hbt_ray.retrieval.scoring.distinct import repeated
from hbt_ray.retrieval.scoring.score import POOL_CUTOFF, Scores
from hbt_ray.retrieval.scoring.significance import LOWER_IS_BETTER, check_same_set, compare, holm, sign_flip_test
from hbt_ray.retrieval.scoring.wording import METRICS

NUM_FLIPS = 10_000
"""Random exchanges; with Holm's correction over 200 languages, p can still fall below 0.05."""
NO_CHAMPION = "no champion yet"

Kind = Literal["pool_map", "mono_map"]
WHERE: dict[Kind, str] = {"pool_map": "in the pool", "mono_map": "inside the language"}


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One gate on one set."""

    gate: str
    """Field of `gates`, with the number it looks at where that has several."""
    on_set: str
    passed: bool
    reason: str
    """The numbers, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class LangLoss:
    """mAP of one language of the question under the champion and the candidate."""

    lang: str
    kind: Kind
    champion: float
    candidate: float
    p_holm: float
    """Two-sided paired permutation test over questions, corrected for all languages and both kinds."""
    num_questions: int
    num_tests: int
    """Languages and kinds that are tested together."""

    @property
    def least_p(self) -> float:
        """The least that `p_holm` could be, if every question of the language spoke for a loss."""
        return min(1.0, self.num_tests * 2.0 ** (1 - self.num_questions))

    @property
    def loss(self) -> float:
        """Above 0 where the candidate is worse."""
        return self.champion - self.candidate


def check_gates(
    config: GatesConfig, candidate: Mapping[str, Scores], champion: Mapping[str, Scores] | None
) -> list[GateResult]:
    """Every gate that is set, on every set of `candidate` (name -> scores); without a champion no loss is possible.

    Raises:
        EvaluationError: the two were scored on different questions of a set, or a set has a single one.
        ConfigError: no gate is set, so that nothing would be checked.
    """
    results = []
    for name, scores in candidate.items():
        results += [
            *_thresholds(config, scores),
            *_against(config, scores, champion[name] if champion is not None else None),
        ]
    if not results:
        raise ConfigError(
            "gates: none is set, so nothing would be checked; set one, e.g. gates.max_loss_per_language=0"
        )
    return results


def lang_losses(candidate: Scores, champion: Scores, *, min_questions: int = 0, seed: int = 0) -> list[LangLoss]:
    """Both models in every language that has `min_questions` of its own, in the pool and inside the language."""
    kinds: list[Kind] = ["pool_map"] if "pool_map" in repeated(candidate) else ["pool_map", "mono_map"]
    columns: list[tuple[Kind, str, float, float, int]] = []
    parts: list[FloatArray] = []
    ours, theirs = headline_cells(candidate)[1], headline_cells(champion)[1]
    for kind in kinds:
        before, after = (_by_lang(scores, kind) for scores in (champion, candidate))
        counts = ours[kind].counts.sum(axis=0)
        kept = counts >= min_questions
        columns += [
            (kind, candidate.langs[at], float(before[at]), float(after[at]), int(num))
            for at, num in zip(np.flatnonzero(~np.isnan(after))[kept], counts[kept], strict=True)
        ]
        parts.append(((ours[kind].sums - theirs[kind].sums) / counts)[:, kept])
    if not columns:
        return []
    p_values = holm(sign_flip_test(np.concatenate(parts, axis=1), num_resamples=NUM_FLIPS, seed=seed))
    return [
        LangLoss(
            lang=lang,
            kind=kind,
            champion=before,
            candidate=after,
            p_holm=float(p_holm),
            num_questions=num,
            num_tests=len(columns),
        )
        for (kind, lang, before, after, num), p_holm in zip(columns, p_values, strict=True)
    ]


def _thresholds(config: GatesConfig, scores: Scores) -> Iterator[GateResult]:
    headline = scores.headline()
    for name, least in config.minima.items():
        yield _at_least(f"min_scores: {name}", scores, METRICS[name][0], name, headline[name], least)
    if config.max_rank_distance is not None:
        value, most = headline["rank_distance"], config.max_rank_distance
        said = _said("rank_distance", value)
        reason = f"rank distance is {said}, at most {_said('rank_distance', most)} is allowed"
        yield GateResult(gate="max_rank_distance", on_set=scores.name, passed=value <= most, reason=reason)
    for gate, what, metric, values, floor in (
        ("min_worst_lang_map", "mAP", "pool_map", scores.pool_map, config.min_worst_lang_map),
        ("min_worst_lang_recall", f"R@{POOL_CUTOFF}", "pool_r10", scores.pool_r10, config.min_worst_lang_recall),
    ):
        if floor is not None:
            known = not np.isnan(values).all()
            worst = int(np.nanargmin(values)) if known else 0
            lang = f" ({code_and_name(scores.langs[worst])})" if known else ""
            value = float(values[worst])
            yield _at_least(gate, scores, f"{what} in the pool of the worst language{lang}", metric, value, floor)


def _at_least(gate: str, scores: Scores, what: str, metric: str, value: float, least: float) -> GateResult:
    reason = f"{what} is {_said(metric, value)}, at least {_said(metric, least)} is asked for"
    return GateResult(gate=gate, on_set=scores.name, passed=value >= least, reason=reason)


def _against(config: GatesConfig, scores: Scores, champion: Scores | None) -> Iterator[GateResult]:
    wanted = [f"no_loss_in: {name}" for name in config.no_loss_in]
    if champion is None:
        per_lang = ["max_loss_per_language"] if config.max_loss_per_language is not None else []
        for gate in (*wanted, *per_lang):
            yield GateResult(gate=gate, on_set=scores.name, passed=True, reason=NO_CHAMPION)
        return
    check_same_set(champion, scores)
    if wanted:
        yield from _no_loss(config, scores, champion)
    if config.max_loss_per_language is not None:
        losses = lang_losses(scores, champion, min_questions=config.min_questions)
        yield _no_language_lost(config, losses, scores.name)


def _no_loss(config: GatesConfig, scores: Scores, champion: Scores) -> Iterator[GateResult]:
    rows = {row.metric: row for row in compare(champion, scores, confidence=1 - config.level)}
    same = repeated(scores)
    chosen = {name: rows.get(same.get(name, name)) for name in config.no_loss_in}
    corrected = holm(np.array([row.p_value if row else np.nan for row in chosen.values()]))
    for (name, row), p_holm in zip(chosen.items(), corrected, strict=True):
        gate, what = f"no_loss_in: {name}", METRICS[name][0]
        if row is None:
            reason = f"{what} is not defined on {scores.name}: choose another number"
            yield GateResult(gate=gate, on_set=scores.name, passed=False, reason=reason)
            continue
        worse = (row.difference < 0) != (name in LOWER_IS_BETTER) and row.difference != 0
        lost = worse and p_holm < config.level
        chance = f"p = {p_holm:.3g}, {'more than' if p_holm < config.level else 'not more than'} chance"
        reason = f"{what} is {_said(name, row.b)}, the champion's {_said(name, row.a)} ({chance})"
        yield GateResult(gate=gate, on_set=scores.name, passed=not lost, reason=reason)


def _no_language_lost(config: GatesConfig, losses: list[LangLoss], on_set: str) -> GateResult:
    most = config.max_loss_per_language or 0.0
    lost = [row for row in losses if row.loss > most and row.p_holm < config.level]
    lost.sort(key=lambda row: -row.loss)
    untold = [row for row in losses if row.loss > most and row.least_p >= config.level]
    if lost:
        reason = "below the champion beyond chance: " + "; ".join(map(_loss, lost))
    elif untold:
        few = "; ".join(f"{_loss(row)}, {row.num_questions} questions" for row in untold)
        reason = (
            f"below the champion, and so few questions cannot tell that from chance: {few}; gates.min_questions leaves "
            "languages with fewer out"
        )
    elif not losses:
        reason = f"no language has gates.min_questions={config.min_questions} questions"
    else:
        worst = max(losses, key=lambda row: row.loss)
        beyond = f" by more than {most:g}" if most else ""
        reason = f"no language is below the champion{beyond} beyond chance"
        reason += f"; the largest loss: {_loss(worst)}" if worst.loss > 0 else "; none lost at all"
    return GateResult(gate="max_loss_per_language", on_set=on_set, passed=not lost and not untold, reason=reason)


def _loss(row: LangLoss) -> str:
    return (
        f"{code_and_name(row.lang)} {WHERE[row.kind]} {row.champion:.4f} -> {row.candidate:.4f} (p = {row.p_holm:.3g})"
    )


def _by_lang(scores: Scores, kind: Kind) -> FloatArray:
    return scores.pool_map if kind == "pool_map" else np.diagonal(scores.map_matrix)


def _said(metric: str, value: float) -> str:
    return "not defined" if math.isnan(value) else number(metric, value)
