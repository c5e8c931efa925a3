"""Whether a study's model becomes the champion: read, compare, decide, and write down why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mlflow.exceptions import MlflowException

from hbt_ray.config import GatesConfig
from hbt_ray.errors import ConfigError, HbtError, one_line
from hbt_ray.model.find import resolve_model
from hbt_ray.records import RunRecords, read_run
from hbt_ray.release.candidate import ScoredRun, check_same_sets, chosen_trial, scored_run, scored_trial
from hbt_ray.release.gates import IS_CHAMPION, NO_CHAMPION, GateResult, check_gates
from hbt_ray.release.model_card import Facts, base_licence, read_corpus_card, write_model_card
from hbt_ray.release.registry import REPLACES_TAG, Champion, crown, find_champion, register
from hbt_ray.reports.study_wording import recommendation_line
from hbt_ray.storage import json_text
from hbt_ray.study.analysis import StudyAnalysis, analyse
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.trials import StudyData, Trial
from hbt_ray.tracking.mirror import mirror_now
from hbt_ray.tracking.models import log_model, replace_card
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.uri import store_error

Verdict = Literal["passed", "failed", "not_checked"]
REPORT = "promotion.json"
"""File of the candidate's run: the last verdict on it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Promotion:
    """A verdict, and all that it was made of."""

    model: str
    """Registered model."""
    analysis: StudyAnalysis
    trial: Trial
    why: str
    """Why this trial is the candidate."""
    candidate: ScoredRun
    run_id: str
    """Of the candidate in MLflow; empty where it is not there yet."""
    champion: Champion | None
    results: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate is passed."""
        return all(result.passed for result in self.results)

    @property
    def verdict(self) -> Verdict:
        """`not_checked` where no gate had anything to hold the model against."""
        if not self.passed:
            return "failed"
        return "passed" if any(result.checked for result in self.results) else "not_checked"

    @property
    def is_champion(self) -> bool:
        """Whether the candidate has the alias already."""
        return self.champion is not None and self.champion.run_id == self.run_id


def judge(store: RunStore, directory: StudyDirectory, gates: GatesConfig, trial_name: str = "") -> Promotion:
    """Hold a study's recommended trial, or another, against the gates and the champion; writes nothing.

    Raises:
        HbtError: store, study, trial or scores are not there, or candidate and champion answered different questions.
    """
    analysis = analyse(directory.read(), directory.scores)
    trial, why = chosen_trial(analysis, trial_name)
    sets = list(gates.sets) or [analysis.main.on_set.name]
    candidate = scored_trial(trial, "the candidate", sets)
    name = gates.model or store.experiment
    try:
        champion = find_champion(store.client, name)
        run_id = store.find(trial.key) or ""
        same = champion is not None and champion.run_id == run_id
        theirs = None
        if champion is not None and not same and gates.compares:
            theirs = scored_run(store.client, champion.run_id, f"the champion (version {champion.version})", sets)
            check_same_sets(candidate, theirs)
    except MlflowException as error:
        raise store_error(store.tracking_uri, error) from error
    return Promotion(
        model=name,
        analysis=analysis,
        trial=trial,
        why=why,
        candidate=candidate,
        run_id=run_id,
        champion=champion,
        results=tuple(
            check_gates(
                gates,
                candidate.scores,
                theirs.scores if theirs is not None else None,
                IS_CHAMPION if same else NO_CHAMPION,
            )
        ),
    )


def carry_out(store: RunStore, promotion: Promotion, *, licence: str, register_failed: bool) -> str:
    """Write the verdict down, and where it is good register the model and move the alias; what was done, in a line.

    A model that failed is registered only with `register_failed`, and never gets the alias. In every case the verdict
    is a file of the candidate's run, in the workspace and in MLflow. Of the champion itself nothing is registered anew
    unless something was checked.

    Raises:
        HbtError: the store does not answer, or the model's files are not there any more.
    """
    client, trial, study = store.client, promotion.trial, promotion.analysis.study
    replaced = None if promotion.is_champion else promotion.champion
    RunRecords(trial.directory).file(REPORT, json_text(verdict_tree(promotion)))
    try:
        mirror_now(store.tracking_uri, store.experiment, study.directory, workspace_of(study))
        if not (promotion.passed or register_failed):
            return f"nothing is registered; the reasons are in {trial.directory}/{REPORT}"
        if promotion.champion is not None and promotion.is_champion and promotion.verdict == "not_checked":
            return (
                f"version {promotion.champion.version} of {promotion.model} is the champion already; its card and the "
                "verdict on it stay as they are, since it was held against nothing"
            )
        run_id = store.find(trial.key)
        if run_id is None:
            raise ConfigError(f"MLflow refused the run of {trial.label}; nothing is registered")
        facts = card_facts(promotion, licence)
        text = write_model_card(trial.model, promotion.analysis, trial, promotion.candidate, facts)
        model = log_model(client, run_id, trial.model, step=trial.step, label=trial.label)
        replace_card(client, model, text)
        tags = {"hbt.study": promotion.analysis.study.name, "hbt.trial": promotion.trial.label}
        if promotion.passed and replaced:
            tags[REPLACES_TAG] = replaced.version
        reasons = description(promotion)
        version = register(
            client, promotion.model, model, promotion.results, promotion.verdict, tags=tags, description=reasons
        )
        if not promotion.passed:
            return f"version {version} of {promotion.model} is registered with the reasons, without the alias"
        crown(client, promotion.model, version)
    except MlflowException as error:
        raise store_error(store.tracking_uri, error) from error
    before = f" (before: version {replaced.version})" if replaced else ""
    return f"version {version} of {promotion.model} is the champion{before}: models:/{promotion.model}@champion"


def card_facts(promotion: Promotion, licence: str) -> Facts:
    """What the model's card says beside the scores."""
    corpus, of_base = described(promotion.analysis.study, promotion.trial)
    name = f"{promotion.model}: {promotion.analysis.study.name}, {promotion.trial.label}"
    return Facts(
        name=name,
        licence=licence,
        base_licence=of_base,
        corpus=corpus,
        gates=promotion.results,
        verdict=verdict(promotion),
    )


def described(study: StudyData, trial: Trial) -> tuple[dict[str, object] | None, str]:
    """The card of the corpus that a trial learned from, and the licence of its base model, as far as they are known."""
    datasets = read_run(trial.directory).datasets
    places = [f"{workspace_of(study)}/{each['source']}" for each in datasets if each["context"] == "training"]
    corpus = next((card for place in places if (card := read_corpus_card(place))), None)
    try:
        base = resolve_model(str(trial.config.get("model.base", "")))
    except HbtError:  # a package that is not installed here
        return corpus, ""
    return corpus, base_licence(base)


def verdict(promotion: Promotion) -> str:
    """Whether the gates are passed, in a phrase."""
    if promotion.verdict == "not_checked":
        why = IS_CHAMPION if promotion.is_champion else NO_CHAMPION
        return f"nothing was checked ({why}, and no threshold such as gates.min_scores)"
    return "every gate is passed" if promotion.passed else "not every gate is passed"


def description(promotion: Promotion) -> str:
    """The verdict as Markdown, for the page of the version."""
    said = verdict(promotion)
    lines = [
        f"{said[0].upper()}{said[1:]}. {promotion.analysis.study.name}, {promotion.trial.label}, {promotion.why}.",
        "",
        f"The study's decision: {recommendation_line(promotion.analysis)}.",
        "",
        "| gate | set | verdict | why |",
        "|---|---|---|---|",
    ]
    for result in promotion.results:
        lines.append(f"| {result.gate} | {result.on_set} | {result.verdict} | {result.reason} |")
    return "\n".join(lines)


def verdict_tree(promotion: Promotion) -> dict[str, object]:
    """The verdict as plain types, for programs."""
    return {
        "model": promotion.model,
        "study": promotion.analysis.study.name,
        "key": promotion.trial.key,
        "trial": promotion.trial.label,
        "why": promotion.why,
        "champion": asdict(promotion.champion) if promotion.champion else None,
        "decision": recommendation_line(promotion.analysis),
        "verdict": promotion.verdict,
        "passed": promotion.passed,
        "gates": [asdict(result) for result in promotion.results],
    }


def workspace_of(study: StudyData) -> str:
    """The workspace that a study is in: its directory is WORKSPACE/runs/STUDY."""
    return study.directory.rsplit("/", 2)[0]


def recorded_gates(directory: StudyDirectory) -> dict[str, Any]:
    """The section `gates` that a study was last run with."""
    return dict(read_run(directory.path).start.get("settings", {}).get("gates", {}))


def write_study_cards(analysis: StudyAnalysis, report: Callable[[str], None]) -> None:
    """Write a card into the directory of each model of the recommended point; what cannot be written is said."""
    sets = [scored.on_set.name for scored in analysis.sets]
    for trial in analysis.recommended.trials if analysis.recommended else ():
        try:
            scored = scored_trial(trial, trial.label, sets)
            corpus, of_base = described(analysis.study, trial)
            facts = Facts(name=f"{analysis.study.name}, {trial.label}", base_licence=of_base, corpus=corpus)
            write_model_card(trial.model, analysis, trial, scored, facts)
            report(f"model card {trial.model}/README.md")
        except (HbtError, OSError) as error:
            report(f"note: the model of {trial.label} has no card: {one_line(error)}")
