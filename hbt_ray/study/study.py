"""A study ready to run, as all that take part in it know it, and how its runs begin in their records."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hbt_ray.config import Recipe
from hbt_ray.records import RunRecords
from hbt_ray.study.baselines import baseline_of, controls
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.trials import BASELINE_TAG, CONTROLS_TAG, NO_MIX
from hbt_ray.training.artifacts import record_config
from hbt_ray.training.experiment import Experiment
from hbt_ray.training.run import SECTIONS


@dataclass(frozen=True)
class Study:
    """A study ready to run.

    Attributes:
        recipe: with its search space.
        experiment: the recipe's paths, corpus and base model, shared by all trials.
        directory: of the study, for records and checkpoints.
        study_id: the study's own, from `StudyDirectory.claim`.
    """

    recipe: Recipe
    experiment: Experiment
    directory: StudyDirectory
    study_id: str

    @property
    def key(self) -> str:
        """Identity of the study's run."""
        return f"{self.recipe.name}-{self.study_id}"

    def begin(self) -> None:
        """The study begins, or is resumed or extended, with the settings of this command."""
        outside = {CONTROLS_TAG: ",".join(controls(self.recipe)) or "none"}
        tags = {"hbt.kind": "study", "hbt.study": self.recipe.name, **outside}
        settings = self.recipe.resolved()
        self.directory.records.start(self.key, self.recipe.name, tags=tags, settings=settings)
        self._describe(self.directory.records, settings)

    def begin_trial(self, spec: TrialSpec) -> None:
        """A trial begins or is resumed; how it failed before counts no more."""
        recipe = spec.recipe(self.recipe)
        tags = {"hbt.kind": "trial", "hbt.study": self.recipe.name, "hbt.seed": str(spec.seed), "hbt.trial": spec.name}
        resolved = recipe.resolved()
        settings = {section: resolved[section] for section in SECTIONS}
        name = baseline_of(spec, self.recipe)
        if name:
            tags[BASELINE_TAG] = name
        if name not in NO_MIX:
            tags["hbt.alpha"] = f"{recipe.plan.alpha:g}"
        if not recipe.train.steps:
            del settings["plan"]  # there were no batches, so nobody should sort this run by alpha
        records = RunRecords(self.directory.of_trial(spec))
        records.start(
            f"{self.key}/{spec.name}",
            f"{name} seed={spec.seed}" if name in self.recipe.tune.arms else spec.label,
            parent=self.key,
            tags=tags,
            settings=settings,
            trial=dict(spec.overrides),
        )
        self._describe(records, resolved)

    def _describe(self, records: RunRecords, settings: dict[str, object]) -> None:
        record_config(records, settings)
        records.append("datasets", datasets=[asdict(info) for info in self.experiment.datasets])
