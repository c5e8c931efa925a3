"""A study ready to run, as all that take part in it know it."""

from __future__ import annotations

from dataclasses import dataclass

from hbt_ray.config import Recipe
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.points import TrialSpec
from hbt_ray.tracking.handle import WriterHandle
from hbt_ray.training.experiment import Experiment


@dataclass(frozen=True)
class Study:
    """A study ready to run.

    Attributes:
        recipe: with its search space.
        experiment: the recipe's paths, corpus and base model, shared by all trials.
        directory: of the study, for results and checkpoints.
        log: the tracking writer of the job.
        study_id: the study's own, from `StudyDirectory.claim`.
    """

    recipe: Recipe
    experiment: Experiment
    directory: StudyDirectory
    log: WriterHandle
    study_id: str

    @property
    def key(self) -> str:
        """The parent run's identity in the tracking store."""
        return f"{self.recipe.name}-{self.study_id}"

    def trial_key(self, spec: TrialSpec) -> str:
        """A child run's identity in the tracking store."""
        return f"{self.key}/{spec.name}"
