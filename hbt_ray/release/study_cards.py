"""Cards for the models that a study recommends, written before anybody promotes one."""

from __future__ import annotations

from collections.abc import Callable

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from hbt_ray.errors import HbtError
from hbt_ray.release.candidate import read_scored
from hbt_ray.release.model_card import Facts, write_model_card
from hbt_ray.release.promote import described
from hbt_ray.study.analysis import StudyAnalysis
from hbt_ray.tracking.models import run_model


def write_study_cards(tracking_uri: str, analysis: StudyAnalysis, report: Callable[[str], None]) -> None:
    """Write a card into the directory of each model of the recommended point; what cannot be written is said."""
    client = MlflowClient(tracking_uri=tracking_uri)
    sets = [found.on_set.name for found in analysis.sets]
    for trial in analysis.recommended.trials if analysis.recommended else ():
        try:
            scored = read_scored(client, trial.run_id, trial.label, sets)
            corpus, of_base = described(client, trial)
            facts = Facts(name=f"{analysis.study.name}, {trial.label}", base_licence=of_base, corpus=corpus)
            location = run_model(client, trial.run_id)
            write_model_card(location, analysis, trial, scored, facts)
            report(f"model card {location}/README.md")
        except (HbtError, MlflowException, OSError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0][:300]
            report(f"note: the model of {trial.label} has no card: {line}")
