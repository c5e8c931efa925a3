"""What is known of a study's trials, kept beside their checkpoints: one small JSON file a trial.

A study is resumed and extended from these files alone: a trial that has one is not run again, a trial that was
cut off goes on from its checkpoint because its run has the same name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import fsspec

from hbt_ray.config import Recipe
from hbt_ray.errors import ConfigError
from hbt_ray.tuning.points import TrialSpec

Status = Literal["finished", "stopped", "failed"]
RESULT, STUDY = "result.json", "study.json"


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended: `stopped` is early by ASHA; `metrics` are of its last evaluation, at `step`."""

    spec: TrialSpec
    status: Status
    step: int
    metrics: dict[str, float]
    model: str = ""
    error: str = ""


class StudyDirectory:
    """The directory of a study: `study.json` (its recipe) and a sub-directory a trial."""

    def __init__(self, path: str) -> None:
        self.path = path

    def claim(self, recipe: Recipe) -> bool:
        """Write down the recipe, or check that it is the one that is there; True where the study is resumed.

        Raises:
            ConfigError: a study of this name exists with other fixed settings; names them.
        """
        mine = _fixed(recipe)
        theirs = self._read(STUDY)
        if theirs is None:
            self._write(STUDY, mine)
            return False
        changed = [
            f"{section}.{name}={mine[section][name]!r} (was {theirs.get(section, {}).get(name)!r})"
            for section in mine
            for name in mine[section]
            if mine[section][name] != theirs.get(section, {}).get(name)
        ]
        if changed:
            raise ConfigError(
                f"study {recipe.name!r} in {self.path} was begun with other settings: {'; '.join(changed)}; "
                "give the changed study another name (name=...)"
            )
        return True

    def result(self, spec: TrialSpec) -> TrialResult | None:
        """The result of a trial that has ended."""
        tree = self._read(f"{spec.name}/{RESULT}")
        return _from_tree(tree) if tree else None

    def results(self) -> list[TrialResult]:
        """The results of all trials that have ended."""
        fs, root = fsspec.core.url_to_fs(self.path)
        found = [self._read(path[len(root) + 1 :]) for path in sorted(fs.glob(f"{root}/*/{RESULT}"))]
        return [_from_tree(tree) for tree in found if tree]

    def save(self, result: TrialResult) -> None:
        """Write a trial's result."""
        self._write(f"{result.spec.name}/{RESULT}", {**vars(result), "spec": dict(result.spec.overrides)})

    def _read(self, name: str) -> dict[str, Any] | None:
        fs, root = fsspec.core.url_to_fs(self.path)
        path = f"{root}/{name}"
        return dict(json.loads(fs.cat_file(path))) if fs.exists(path) else None

    def _write(self, name: str, tree: dict[str, Any]) -> None:
        fs, root = fsspec.core.url_to_fs(self.path)
        path = f"{root}/{name}"
        fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        fs.pipe_file(f"{path}.part", json.dumps(tree, indent=1).encode())
        fs.mv(f"{path}.part", path)


def _from_tree(tree: dict[str, Any]) -> TrialResult:
    return TrialResult(**{**tree, "spec": TrialSpec(tuple(sorted(tree["spec"].items())))})


def _fixed(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """What trials of one study must share: all that decides weights and scores, less what the study varies."""
    resolved = recipe.resolved()
    sections = {name: dict(resolved[name]) for name in ("corpus", "plan", "model", "train", "evaluation")}
    for field in (*recipe.tune.space, "train.seed"):
        section, _, name = field.partition(".")
        sections.get(section, {}).pop(name, None)
    return sections
