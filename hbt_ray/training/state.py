"""Checkpoints: what is saved, and the guarantee that a resumed run goes on as if it had never stopped.

    model/         the encoder, loadable by sentence-transformers, transformers and Encoder.load (safetensors)
    optimizer.pt   optimizer by parameter name, scheduler, learned loss parameters, adapters (tensors and plain types)
    state.json     step, seed, digest of the recipe, and the metrics reported with the checkpoint

The plan and dropout are functions of (seed, step), so step and seed are all of their state.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from hbt_ray.config import Recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import ConfigError

if TYPE_CHECKING:  # the model's libraries take seconds to import, and trial drivers only read states
    from hbt_ray.training.step import ContrastiveStep

VERSION = 2
"""1 had the optimiser's state by number of the parameter."""
MODEL, OPTIMIZER, STATE = "model", "optimizer.pt", "state.json"
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


@dataclass(frozen=True)
class Weights:
    """What training changes, whole and on the CPU: the encoder's weights, the optimiser's and the loss's state."""

    encoder: dict[str, Tensor]
    optimizer: dict[str, Any]
    loss: dict[str, Tensor]


def take_weights(module: ContrastiveStep, optimizer: torch.optim.Optimizer) -> Weights:
    """The weights of a run; where they are sharded, every worker has to call it."""
    from hbt_ray.training.parallel import whole_optimizer, whole_state

    return Weights(whole_state(module.encoder.backbone), whole_optimizer(module, optimizer), module.loss.state_dict())


def save_checkpoint(
    directory: Path,
    module: ContrastiveStep,
    weights: Weights | None,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    state: RunState,
) -> None:
    """Write a checkpoint of `weights` (of `take_weights`) into `directory`, `state.json` last."""
    from hbt_ray.model.lora import has_lora, lora_state, merged_state

    assert weights is not None, "rank 0 writes the checkpoint and has the weights"
    encoder = weights.encoder
    rest = {"optimizer": weights.optimizer, "scheduler": scheduler.state_dict(), "loss": weights.loss}
    if has_lora(module.encoder.backbone):
        rest["lora"] = lora_state(encoder)
        encoder = merged_state(encoder, module.encoder.backbone)
    module.encoder.save(directory / MODEL, encoder)
    torch.save(rest, directory / OPTIMIZER)
    (directory / STATE).write_text(json.dumps(vars(state)))


def load_checkpoint(
    directory: Path,
    module: ContrastiveStep,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    *,
    digest: str,
) -> RunState:
    """Put a checkpoint into `module`, `optimizer` and `scheduler`.

    Raises:
        ConfigError: the checkpoint is of a run with another recipe.
    """
    from hbt_ray.training.parallel import load_optimizer, load_weights

    state = read_state(directory)
    check_digest(state, digest, f"checkpoint {directory}")
    if state.version != VERSION:
        raise ConfigError(
            f"checkpoint {directory} is of version {state.version} of its files, this is {VERSION}: give the run "
            "another name (name=...), and remove the old one"
        )
    rest: dict[str, Any] = torch.load(directory / OPTIMIZER, map_location="cpu", weights_only=True)
    if "lora" in rest:  # the model beside it has the adapters merged; the weights below them never change
        load_weights(module.encoder.backbone, rest["lora"], partly=True)
    else:
        load_weights(module.encoder.backbone, load_file(directory / MODEL / "model.safetensors"))
    load_optimizer(module, optimizer, rest["optimizer"])
    scheduler.load_state_dict(rest["scheduler"])
    module.loss.load_state_dict(rest["loss"])
    return state


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
