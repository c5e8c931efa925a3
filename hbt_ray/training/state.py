"""Where a run is: what is known of a checkpoint without its tensors, and what tells runs apart.

Needs no PyTorch: trial drivers and controllers read states, and would take seconds to import it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hbt_ray.config import Recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import ConfigError

VERSION = 2
"""1 had the optimiser's state by number of the parameter."""
MODEL, STATE = "model", "state.json"
SECTIONS = ("plan", "model", "train", "corpus")
"""Sections of the recipe that decide a run's weights."""


@dataclass(frozen=True)
class RunState:
    """Where a run is.

    Attributes:
        step: steps done, which is the number of the next one.
        seed: of the plan and of dropout.
        digest: identifies everything that decides the run's weights; another recipe must not go on from here.
        world_size: workers that made the step; another number is allowed, and gives the same global batches.
        metrics: what was reported with the checkpoint.
        scored: digest of the evaluation settings that gave them.
        threads: CPU threads of a worker, 0 on GPUs; a run goes on with as many, because sums of floats depend on it.
        chunking: how slices are cut (`training.chunking`), for the same reason.
        version: of the files; a checkpoint of another is refused.
    """

    step: int
    seed: int
    digest: str
    world_size: int
    metrics: dict[str, float]
    scored: str = ""
    threads: int = 0
    chunking: dict[str, Any] = field(default_factory=dict)
    version: int = 1


def check_digest(state: RunState, digest: str, what: str) -> None:
    """ConfigError where `state` is of a run with another recipe or corpus than `digest` stands for."""
    if state.digest != digest:
        raise ConfigError(
            f"{what} was made with another recipe or corpus (digest {state.digest}, now {digest}); "
            "give the changed recipe another name (name=...)"
        )


def read_state(directory: Path) -> RunState:
    """The state of a checkpoint without its tensors."""
    return RunState(**json.loads((directory / STATE).read_text()))


def run_digest(recipe: Recipe, corpus: Corpus) -> str:
    """Identifies what decides a run's weights: the sections in `SECTIONS` and the prepared corpus."""
    return f"{recipe.digest(*SECTIONS)}-{corpus.manifest.fingerprint[:12]}"


def checkpoint_name(step: int) -> str:
    """Name of the checkpoint made after `step` steps."""
    return f"step-{step:07d}"
