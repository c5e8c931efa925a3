"""Whether a study's model becomes the champion: read, compare, decide, and write down why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from hbt_ray.config import GatesConfig
from hbt_ray.errors import HbtError, one_line
from hbt_ray.model.find import resolve_model
from hbt_ray.release.candidate import ScoredRun, check_same_sets, chosen_trial, read_scored
from hbt_ray.release.gates import NO_CHAMPION, GateResult, check_gates
from hbt_ray.release.model_card import Facts, base_licence, read_corpus_card, write_model_card
from hbt_ray.release.registry import REPLACES_TAG, Champion, crown, find_champion, register
from hbt_ray.reports.study_wording import recommendation_line
from hbt_ray.storage import json_text
from hbt_ray.study.analysis import StudyAnalysis, analyse
from hbt_ray.study.mlflow_reader import open_client, read_settings, read_study, store_error
from hbt_ray.study.trial_scores import read_trial_scores
from hbt_ray.study.trials import Trial
from hbt_ray.tracking.models import log_model, replace_card, run_model
from hbt_ray.tracking.runs import RunStore

REPORT = "promotion.json"
"""Artifact of the candidate's run: the last verdict on it."""


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
    champion: Champion | None
    results: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate is passed."""
        return all(result.passed for result in self.results)

    @property
    def checked(self) -> bool:
        """Whether anything was: without a champion, gates that compare with it are passed unseen."""
        return any(result.reason != NO_CHAMPION for result in self.results)

    @property
    def is_champion(self) -> bool:
        """Whether the candidate has the alias already."""
        return self.champion is not None and self.champion.run_id == self.candidate.run_id


def judge(tracking_uri: str, experiment: str, study: str, gates: GatesConfig, run_id: str = "") -> Promotion:
    """Hold a study's recommended trial against the gates and the champion; writes nothing.

    `run_id` names another trial, or the study where several have its name.

    Raises:
        HbtError: store, study, trial or scores are not there, or candidate and champion answered different questions.
    """
    client = open_client(tracking_uri)
    try:
        data = read_study(tracking_uri, experiment, study, run_id)
        analysis = analyse(data, partial(read_trial_scores, data))
        trial, why = chosen_trial(analysis, "" if run_id == data.run_id else run_id)
        sets = list(gates.sets) or [analysis.main.on_set.name]
        candidate = read_scored(client, trial.run_id, "the candidate", sets)
        name = gates.model or experiment
        champion = find_champion(client, name)
        theirs = None
        if champion is not None and gates.compares:
            theirs = read_scored(client, champion.run_id, f"the champion (version {champion.version})", sets)
            check_same_sets(candidate, theirs)
    except MlflowException as error:
        raise store_error(tracking_uri, error) from error
    return Promotion(
        model=name,
        analysis=analysis,
        trial=trial,
        why=why,
        candidate=candidate,
        champion=champion,
        results=tuple(check_gates(gates, candidate.scores, theirs.scores if theirs is not None else None)),
    )


def carry_out(tracking_uri: str, experiment: str, promotion: Promotion, *, licence: str, register_failed: bool) -> str:
    """Write the verdict down, and where it is good register the model and move the alias; what was done, in a line.

    A model that failed is registered only with `register_failed`, and never gets the alias. In every case the verdict
    is an artifact of the candidate's run.

    Raises:
        HbtError: the store does not answer, or the model's files are not there any more.
    """
    client, store = open_client(tracking_uri), RunStore(tracking_uri, experiment)
    run_id = promotion.candidate.run_id
    replaced = None if promotion.is_champion else promotion.champion
    try:
        store.log_bytes(run_id, REPORT, json_text(verdict_tree(promotion)).encode())
        if not (promotion.passed or register_failed):
            return f"nothing is registered; the reasons are in {REPORT} of run {run_id}"
        location = run_model(client, run_id)
        facts = card_facts(client, promotion, licence)
        text = write_model_card(location, promotion.analysis, promotion.trial, promotion.candidate, facts)
        model = log_model(client, run_id, location, step=int(promotion.trial.config.get("train.steps", 0)))
        replace_card(client, model, text)
        tags = {"hbt.study": promotion.analysis.study.name, "hbt.trial": promotion.trial.label}
        if promotion.passed and replaced:
            tags[REPLACES_TAG] = replaced.version
        reasons = description(promotion)
        version = register(client, promotion.model, model, promotion.results, tags=tags, description=reasons)
        if not promotion.passed:
            return f"version {version} of {promotion.model} is registered with the reasons, without the alias"
        crown(client, promotion.model, version)
    except MlflowException as error:
        raise store_error(tracking_uri, error) from error
    before = f" (before: version {replaced.version})" if replaced else ""
    return f"version {version} of {promotion.model} is the champion{before}: models:/{promotion.model}@champion"


def card_facts(client: MlflowClient, promotion: Promotion, licence: str) -> Facts:
    """What the model's card says beside the scores."""
    corpus, of_base = described(client, promotion.trial)
    name = f"{promotion.model}: {promotion.analysis.study.name}, {promotion.trial.label}"
    return Facts(name=name, licence=licence, base_licence=of_base, corpus=corpus, gates=promotion.results)


def described(client: MlflowClient, trial: Trial) -> tuple[dict[str, object] | None, str]:
    """The card of the corpus that a trial learned from, and the licence of its base model, as far as they are known."""
    inputs = client.get_run(trial.run_id).inputs
    places = [
        json.loads(each.dataset.source).get("uri", "")
        for each in (inputs.dataset_inputs if inputs else [])
        if any(tag.value == "training" for tag in each.tags)
    ]
    corpus = next((card for place in places if place and (card := read_corpus_card(place))), None)
    try:
        base = resolve_model(str(trial.config.get("model.base", "")))
    except HbtError:  # a package that is not installed here
        return corpus, ""
    return corpus, base_licence(base)


def verdict(promotion: Promotion) -> str:
    """Whether the gates are passed, in a phrase."""
    if not promotion.checked:
        return f"no gate is set: nothing was checked ({NO_CHAMPION}, and no threshold such as gates.min_scores)"
    return "every gate is passed" if promotion.passed else "not every gate is passed"


def description(promotion: Promotion) -> str:
    """The verdict as Markdown, for the page of the version."""
    said = verdict(promotion)
    lines = [
        f"{said[0].upper()}{said[1:]}. {promotion.analysis.study.name}, {promotion.trial.label}, {promotion.why}; run "
        f"{promotion.candidate.run_id}.",
        "",
        f"The study's decision: {recommendation_line(promotion.analysis)}.",
        "",
        "| gate | set | verdict | why |",
        "|---|---|---|---|",
    ]
    for result in promotion.results:
        passed = "passed" if result.passed else "FAILED"
        lines.append(f"| {result.gate} | {result.on_set} | {passed} | {result.reason} |")
    return "\n".join(lines)


def verdict_tree(promotion: Promotion) -> dict[str, object]:
    """The verdict as plain types, for programs."""
    return {
        "model": promotion.model,
        "study": promotion.analysis.study.name,
        "run_id": promotion.candidate.run_id,
        "trial": promotion.trial.label,
        "why": promotion.why,
        "champion": asdict(promotion.champion) if promotion.champion else None,
        "decision": recommendation_line(promotion.analysis),
        "passed": promotion.passed,
        "checked": promotion.checked,
        "gates": [asdict(result) for result in promotion.results],
    }


def recorded_gates(tracking_uri: str, experiment: str, name: str, run_id: str = "") -> dict[str, object]:
    """The section `gates` that a study was last run with; empty for one from before there was such a section."""
    study = read_study(tracking_uri, experiment, name, run_id)
    settings = read_settings(open_client(tracking_uri), study.run_id)
    if settings is not None:  # nested, where null is no gate; parameters leave it out
        return dict(settings.get("gates") or {})
    return {key.removeprefix("gates."): value for key, value in study.config.items() if key.startswith("gates.")}


def write_study_cards(tracking_uri: str, analysis: StudyAnalysis, report: Callable[[str], None]) -> None:
    """Write a card into the directory of each model of the recommended point; what cannot be written is said."""
    client = MlflowClient(tracking_uri=tracking_uri)
    sets = [scored.on_set.name for scored in analysis.sets]
    for trial in analysis.recommended.trials if analysis.recommended else ():
        try:
            scored = read_scored(client, trial.run_id, trial.label, sets)
            corpus, of_base = described(client, trial)
            facts = Facts(name=f"{analysis.study.name}, {trial.label}", base_licence=of_base, corpus=corpus)
            location = run_model(client, trial.run_id)
            write_model_card(location, analysis, trial, scored, facts)
            report(f"model card {location}/README.md")
        except (HbtError, MlflowException, OSError) as error:
            report(f"note: the model of {trial.label} has no card: {one_line(error)}")
