"""A study on disk: what its trials share, and what each of them recorded beside its checkpoints.

A study is resumed, extended and decided from these files alone: a trial that has ended is not run again (unless it was
stopped early and none is to be stopped now), a trial that was cut off is resumed from its checkpoint because its run
has the same name.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from hbt_ray.config import Recipe
from hbt_ray.config.load import build_recipe
from hbt_ray.errors import ConfigError
from hbt_ray.records import RunRecord, RunRecords, read_run, run_directories
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.storage import dotted, json_text, read_json
from hbt_ray.study.baselines import in_space
from hbt_ray.study.points import SEED, TrialSpec
from hbt_ray.study.trials import BASELINE_TAG, NO_MIX, StudyData, Trial
from hbt_ray.training.artifacts import recorded_scores

STUDY = "study.json"
VARIED = "varied"
"""In `study.json`: the fields of the search space."""
ENDED = ("finished", "stopped", "failed")
"""How a trial ends; one that was killed has not."""


class StudyDirectory:
    """The directory of a study: `study.json` (what its trials share), its records, and a sub-directory per trial."""

    def __init__(self, path: str) -> None:
        self.path = path

    @cached_property
    def records(self) -> RunRecords:
        """Of the study itself."""
        return RunRecords(self.path)

    def claim(self, recipe: Recipe, made_from: Mapping[str, str]) -> str:
        """Write down what the trials share, or check that it is what is there.

        Args:
            recipe: of the study.
            made_from: what is not in the recipe: fingerprint of the corpus, identity of the base model.

        Returns:
            The study's own id.

        Raises:
            ConfigError: a study of this name exists with other shared settings, or varies other fields; names them.
        """
        location = f"{self.path}/{STUDY}"
        mine = {**_shared(recipe), "made_from": dict(made_from)}
        theirs = read_json(location)
        if theirs is None:
            study_id = secrets.token_hex(4)
            tree = {"id": study_id, VARIED: sorted(recipe.tune.space), **mine}
            self.records.file(STUDY, json_text(tree, indent=1))
            return study_id
        before = theirs.get(VARIED, [])
        if before and before != sorted(recipe.tune.space):
            raise ConfigError(
                f"study {recipe.name!r} in {self.path} varies {', '.join(before)}, and tune.space has "
                f"{', '.join(sorted(recipe.tune.space))}: other values of the same fields extend a study, other fields "
                "make another one of all its trials; give that another name (name=...)"
            )
        if not before or any(theirs.get(section, {}).keys() != mine[section].keys() for section in mine):
            raise ConfigError(f"{location} is of another version of hbt_ray: give the study another name (name=...)")
        changed = [
            f"{section}.{name}={mine[section][name]!r} (was {theirs[section][name]!r})"
            for section in mine
            for name in mine[section]
            if mine[section][name] != theirs[section][name]
        ]
        if changed:
            raise ConfigError(
                f"study {recipe.name!r} in {self.path} was begun with other settings: {'; '.join(changed)}; "
                "give the changed study another name (name=...)"
            )
        return str(theirs["id"])

    def of_trial(self, spec: TrialSpec) -> str:
        """The directory (or URL) of a trial."""
        return f"{self.path}/{spec.name}"

    def runs(self) -> list[RunRecord]:
        """The runs of all trials, in the order in which they were begun."""
        runs = [read_run(place) for place in run_directories(self.path) if place != self.path]
        return sorted((run for run in runs if run.start or run.end), key=lambda run: run.begun_ms)

    def unfinished(self) -> list[TrialSpec]:
        """Trials that have begun and have not ended: cut off, or running elsewhere."""
        return [_spec(run) for run in self.runs() if run.end.get("status") not in ENDED]

    def result(self, spec: TrialSpec) -> Trial | None:
        """The result of a trial that has ended."""
        return _result(read_run(self.of_trial(spec)))

    def results(self) -> list[Trial]:
        """The results of all trials that have ended, in the order in which they were begun."""
        return [trial for run in self.runs() if (trial := _result(run))]

    def save(self, trial: Trial) -> None:
        """Record how a trial ended."""
        place = self.of_trial(trial.spec)
        assert trial.status != "running", "a trial that runs has not ended"
        RunRecords(place).end(
            trial.status,
            trial=dict(trial.spec.overrides),
            step=trial.step,
            metrics=trial.metrics,
            model=trial.model.removeprefix(f"{place}/"),
            error=trial.error,
            session=trial.session,
        )

    def read(self) -> StudyData:
        """The study as it is decided on, with the settings of its latest command.

        Raises:
            ConfigError: there is no study here, or it is of another version of hbt_ray.
        """
        study = read_run(self.path)
        if not study.start:
            raise ConfigError(f"there is no study in {self.path}: name its workspace with --workspace")
        recipe = build_recipe(study.start["settings"])
        settings = dotted(study.start["settings"])
        return StudyData(
            name=recipe.name,
            key=str(study.start["key"]),
            directory=self.path,
            trials=tuple(_trial(run, recipe) for run in self.runs() if run.start),
            metric=recipe.tune.metrics[0],
            config=settings,
            claims=tuple(recipe.tune.claims),
            rule=recipe.tune,
        )

    def scores(self, trials: Sequence[Trial], name: str) -> dict[str, Scores]:
        """Key -> scores by question on set `name`, of the trials that have any.

        Raises:
            EvaluationError: a file is damaged.
        """
        read = {trial.key: recorded_scores(trial.directory, name) for trial in trials}
        return {key: scores for key, scores in read.items() if scores is not None}


def _spec(run: RunRecord) -> TrialSpec:
    return TrialSpec(tuple(sorted((run.start or run.end)["trial"].items())))


def _result(run: RunRecord) -> Trial | None:
    end = run.end
    if end.get("status") not in ENDED:
        return None
    return Trial(
        _spec(run),
        end["status"],
        end["step"],
        {name: math.nan if value is None else value for name, value in end["metrics"].items()},
        f"{run.directory}/{end['model']}" if end["model"] else "",
        end["error"],
        end["session"],
    )


def _trial(run: RunRecord, recipe: Recipe) -> Trial:
    """A trial as it is decided on: whether it is a control depends on the search space as that is now."""
    spec, settings = _spec(run), dotted(run.start["settings"])
    baseline = run.start["tags"].get(BASELINE_TAG, "")
    outside = bool(baseline) and (baseline in NO_MIX or not in_space(spec.point, recipe))
    if outside:
        spec = TrialSpec.of({name: settings.get(name) for name in recipe.tune.space if _has(baseline, name)}, spec.seed)
    trial = _result(run) or Trial(spec, run.end.get("status", "running"), 0, {})
    return replace(
        trial,
        spec=spec,
        metrics={name: value for name, value in trial.metrics.items() if math.isfinite(value)},
        key=str(run.start["key"]),
        directory=run.directory,
        title=str(run.start["name"]),
        config=settings,
        baseline=baseline,
        is_control=outside,
    )


def _has(baseline: str, field: str) -> bool:
    """Whether a field says something of a control: one that was not trained has none, one without a mix no plan."""
    return baseline != "untrained" and not (baseline in NO_MIX and field.startswith("plan."))


def _shared(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """What trials of one study must share: all that decides weights and scores, less what the study varies."""
    resolved = recipe.resolved()
    sections = {name: dict(resolved[name]) for name in ("corpus", "plan", "model", "train", "evaluation")}
    for field in (*recipe.tune.space, SEED):
        section, _, name = field.partition(".")
        sections.get(section, {}).pop(name, None)
    if "plan.batch_size" in recipe.tune.space:
        sections["tune"] = {"scales_steps": recipe.tune.scales_steps}
    return sections
