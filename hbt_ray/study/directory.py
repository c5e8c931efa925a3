"""What is known of a study's trials, kept beside their checkpoints: one small JSON file a trial.

A study is resumed and extended from these files alone: a trial that has one is not run again (unless it was stopped
early and none is to be stopped now), a trial that was cut off goes on from its checkpoint because its run has the same
name.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from hbt_ray.config import Recipe
from hbt_ray.errors import ConfigError
from hbt_ray.storage import open_fs, read_json, write_json
from hbt_ray.study.points import SEED, TrialSpec
from hbt_ray.study.trials import Trial

RESULT, TRIAL, STUDY = "result.json", "trial.json", "study.json"
VARIED = "varied"
"""In `study.json`: the fields of the search space."""
ENDED = ("status", "step", "metrics", "model", "error", "session")
"""In `result.json`, beside the trial's `spec`."""


class StudyDirectory:
    """The directory of a study: `study.json` (what its trials share) and a sub-directory a trial."""

    def __init__(self, path: str) -> None:
        self.path = path

    def claim(self, recipe: Recipe, made_from: Mapping[str, str]) -> str:
        """Write down what the trials share, or check that it is what is there.

        Args:
            recipe: of the study.
            made_from: what is not in the recipe: fingerprint of the corpus, identity of the base model.

        Returns:
            The study's own id, by which the tracking store knows it.

        Raises:
            ConfigError: a study of this name exists with other shared settings, or varies other fields; names them.
        """
        location = f"{self.path}/{STUDY}"
        mine = {**_shared(recipe), "made_from": dict(made_from)}
        theirs = read_json(location)
        if theirs is None:
            study_id = secrets.token_hex(4)
            write_json(location, {"id": study_id, VARIED: sorted(recipe.tune.space), **mine})
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

    def begin(self, spec: TrialSpec) -> None:
        """Note that a trial has begun, and forget how it failed before."""
        write_json(f"{self.path}/{spec.name}/{TRIAL}", dict(spec.overrides))
        fs, path = open_fs(f"{self.path}/{spec.name}/{RESULT}")
        if fs.exists(path):
            fs.rm_file(path)

    def unfinished(self) -> list[TrialSpec]:
        """Trials that have begun and have no result: cut off, or running elsewhere."""
        fs, root = open_fs(self.path)
        names = [path.split("/")[-2] for path in sorted(fs.glob(f"{root}/*/{TRIAL}"))]
        left = [name for name in names if not fs.exists(f"{root}/{name}/{RESULT}")]
        trees = [read_json(f"{self.path}/{name}/{TRIAL}") for name in left]
        return [TrialSpec(tuple(sorted(tree.items()))) for tree in trees if tree]

    def result(self, spec: TrialSpec) -> Trial | None:
        """The result of a trial that has ended."""
        tree = read_json(f"{self.path}/{spec.name}/{RESULT}")
        return _from_tree(tree) if tree else None

    def results(self) -> list[Trial]:
        """The results of all trials that have ended."""
        fs, root = open_fs(self.path)
        names = [path.split("/")[-2] for path in sorted(fs.glob(f"{root}/*/{RESULT}"))]
        trees = [read_json(f"{self.path}/{name}/{RESULT}") for name in names]
        return [_from_tree(tree) for tree in trees if tree]

    def save(self, trial: Trial) -> None:
        """Write down how a trial ended."""
        location = f"{self.path}/{trial.spec.name}/{RESULT}"
        write_json(location, {"spec": dict(trial.spec.overrides), **{name: getattr(trial, name) for name in ENDED}})


def _from_tree(tree: dict[str, Any]) -> Trial:
    return Trial(**{**tree, "spec": TrialSpec(tuple(sorted(tree["spec"].items())))})


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
