"""Checkpoints: what is saved, and the guarantee that a resumed run goes on as if it had never stopped.

    model/         the encoder, loadable by sentence-transformers, transformers and Encoder.load (safetensors)
    optimizer.pt   optimizer by parameter name, scheduler, learned loss parameters, adapters (tensors and plain types)
    state.json     step, seed, digest of the recipe, and the metrics reported with the checkpoint

The plan and dropout are functions of (seed, step), so step and seed are all of their state.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from hbt_ray.errors import ConfigError
from hbt_ray.model.lora import has_lora, lora_state, merged_state
from hbt_ray.training.run import MODEL, STATE, VERSION, RunState, check_digest, read_state
from hbt_ray.training.sharding import load_optimizer, load_weights, whole_optimizer, whole_state
from hbt_ray.training.step import ContrastiveStep

OPTIMIZER = "optimizer.pt"


@dataclass(frozen=True)
class Weights:
    """What training changes, whole and on the CPU: the encoder's weights, the optimiser's and the loss's state."""

    encoder: dict[str, Tensor]
    optimizer: dict[str, Any]
    loss: dict[str, Tensor]


def take_weights(module: ContrastiveStep, optimizer: torch.optim.Optimizer) -> Weights:
    """The weights of a run; where they are sharded, every worker has to call it."""
    return Weights(whole_state(module.encoder.backbone), whole_optimizer(module, optimizer), module.loss.state_dict())


def save_checkpoint(
    directory: Path,
    module: ContrastiveStep,
    weights: Weights | None,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    state: RunState,
) -> None:
    """Write a checkpoint of `weights` (of `take_weights`) into `directory`, `state.json` last."""
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
