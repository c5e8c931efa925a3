"""The model card: README.md in a model's directory, with the front matter that the Hugging Face hub reads.

Every number in it is of the study and of the model's own run; what nobody has stated (a licence) is said to be unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from hbt_ray.config.headline import ABOUT, METRICS
from hbt_ray.kit.page import render
from hbt_ray.kit.prose import number
from hbt_ray.languages import code_and_name
from hbt_ray.release.candidate import ScoredRun
from hbt_ray.release.gates import GateResult
from hbt_ray.reports.corpus_card import JSON as CORPUS_CARD
from hbt_ray.reports.study_wording import caveats, reason, recommendation_line
from hbt_ray.retrieval.scoring.score import POOL_CUTOFF, Scores
from hbt_ray.storage import read_json, write_whole
from hbt_ray.study.analysis import StudyAnalysis
from hbt_ray.study.trials import FOUR, Trial, shown
from hbt_ray.tracking.models import README

UNKNOWN = "unknown"
"""What the hub's front matter has for a licence that nobody stated."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a card says that is not in the scores."""

    name: str
    """Of the model."""
    licence: str = ""
    """Of the model, as an identifier of the hub such as apache-2.0; empty: not stated."""
    base_licence: str = ""
    """Of the base model, as its own card says; empty: not known."""
    corpus: dict[str, Any] | None = None
    """The corpus's card; None where it cannot be read any more."""
    gates: tuple[GateResult, ...] = ()
    """Of the promotion; empty before."""
    verdict: str = ""
    """What the promotion says of them all, in a phrase."""


def write_model_card(directory: str, analysis: StudyAnalysis, trial: Trial, scored: ScoredRun, facts: Facts) -> str:
    """Write the card into a model's directory (a path or URL); returns its text."""
    text = model_card(analysis, trial, scored, facts)
    write_whole(f"{directory.rstrip('/')}/{README}", text.encode())
    return text


def model_card(analysis: StudyAnalysis, trial: Trial, scored: ScoredRun, facts: Facts) -> str:
    """The card of `trial`, whose scores are `scored`, with the study that it is of."""
    langs = trained_langs(trial, facts, scored)
    base = str(trial.config.get("model.base", ""))
    hub_base = base if _on_hub(base) else None
    data = ModelCardData(
        language=langs,
        license=facts.licence or UNKNOWN,
        base_model=hub_base,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "feature-extraction", "multilingual", "retrieval", *_method_tags(trial)],
        model_name=facts.name,
        eval_results=[result for scores in scored.scores.values() for result in _eval_results(scores)],
    )
    body = render(
        "hbt_ray.release",
        "model.md.j2",
        facts=facts,
        analysis=analysis,
        trial=trial,
        langs=langs,
        base=base,
        hub_base=hub_base,
        config=trial.config,
        sets=scored.scores,
        rows={name: _rows(scores) for name, scores in scored.scores.items()},
        metrics=ABOUT,
        four=FOUR,
        mix=mix_of(trial),
        shown=shown,
        cutoff=POOL_CUTOFF,
        line=recommendation_line(analysis),
        reason=reason(analysis),
        notes=[*caveats(analysis), *filter(None, map(_weakest, scored.scores.values()))],
        digests=scored.digests,
        is_tiny=base == "tiny",
    )
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}")
    return str(card).rstrip() + "\n"


def mix_of(trial: Trial) -> Literal["none", "X-X", "X-Y", "hybrid"]:
    """Of which batches a model learned: none, monolingual ones alone, cross-lingual ones alone, or both."""
    if not trial.config.get("train.steps"):
        return "none"
    if trial.config.get("plan.alpha_schedule", "constant") != "constant":
        return "hybrid"
    alpha = trial.config.get("plan.alpha")
    return "X-X" if alpha == 1 else "X-Y" if alpha == 0 else "hybrid"


def _method_tags(trial: Trial) -> list[str]:
    return ["hybrid-batch-training"] if mix_of(trial) == "hybrid" else []


def trained_langs(trial: Trial, facts: Facts, scored: ScoredRun) -> list[str]:
    """Languages that were trained in where they are known, else those that were scored."""
    if chosen := trial.config.get("plan.langs"):
        return list(chosen)
    if facts.corpus:
        return [row["lang"] for row in facts.corpus["langs"] if row["rows"]]
    named = list(trial.config.get("corpus.langs") or ())
    return named or sorted({lang for scores in scored.scores.values() for lang in scores.langs})


def read_corpus_card(directory: str) -> dict[str, Any] | None:
    """The card beside a prepared corpus; None where there is none."""
    return read_json(f"{directory.rstrip('/')}/{CORPUS_CARD}")


def base_licence(base: str) -> str:
    """What the card of a base model in a directory states as its licence; empty where it states none."""
    card = Path(base) / README
    if not card.is_file():
        return ""
    return str(ModelCard.load(card, ignore_metadata_errors=True).data.license or "")


def _eval_results(scores: Scores) -> list[EvalResult]:
    headline = scores.headline()
    return [
        EvalResult(
            task_type="retrieval",
            task_name="Retrieval",
            dataset_name=scores.name,
            dataset_type=scores.name,
            metric_type=name,
            metric_name=METRICS[name][0],
            metric_value=round(headline[name], 4),
        )
        for name in FOUR
        if not math.isnan(headline[name])
    ]


def _weakest(scores: Scores) -> str:
    """The languages of the question that are served worst in the pool, in words; empty for a single language."""
    known = sorted((v, lang) for v, lang in zip(scores.pool_map, scores.langs, strict=True) if not math.isnan(v))
    if len(known) < 2:
        return ""
    *rest, best = (f"{code_and_name(lang)} ({number('pool_map', value)})" for value, lang in known)
    return f"On {scores.name}, mAP in the pool is lowest for {', '.join(rest[:3])} and highest for {best}."


def _rows(scores: Scores) -> list[list[str]]:
    """A row for each language of the question that has any: its name, and its numbers."""
    columns = {
        "mono_map": scores.map_matrix.diagonal(),
        "pool_map": scores.pool_map,
        "pool_r10": scores.pool_r10,
        "rank_distance": scores.rank_distance,
    }
    return [
        [code_and_name(lang), f"{num:,}", *(number(name, float(column[row])) for name, column in columns.items())]
        for row, (lang, num) in enumerate(zip(scores.langs, scores.num_queries, strict=True))
        if num
    ]


def _on_hub(base: str) -> bool:
    """Whether a base model is named as on the hub, and is no directory, package or model built here."""
    return base.count("/") == 1 and not base.startswith((".", "/", "~")) and not Path(base).exists()
