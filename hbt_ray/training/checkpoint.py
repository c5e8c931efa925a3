"""Checkpoints: what is saved, and the guarantee that a resumed run goes on as if it had never stopped.

    model/         the encoder, loadable by sentence-transformers, transformers and Encoder.load (safetensors)
    optimizer.pt   optimizer by parameter name, scheduler, learned loss parameters, adapters (tensors and plain types)
    state.json     step, seed, digest of the recipe, and the metrics reported with the checkpoint

The plan and dropout are functions of (seed, step), so step and seed are all of their state.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from hbt_ray.errors import ConfigError
from hbt_ray.model.lora import has_lora, lora_state, merged_state
from hbt_ray.training.run import MODEL, STATE, VERSION, RunState, Save, check_digest, read_state
from hbt_ray.training.step import ContrastiveStep

OPTIMIZER = "optimizer.pt"
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def checkpoint_writer(
    module: ContrastiveStep,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    state: RunState,
) -> Save:
    """Takes all that training changes, whole and on the CPU; what it returns writes that, `state.json` last.

    Where the model is sharded, every worker has to call it; rank 0 writes.
    """
    encoder: Any = get_model_state_dict(module.encoder.backbone, options=WHOLE)
    rest: dict[str, Any] = {
        "optimizer": dict(get_optimizer_state_dict(module, optimizer, options=WHOLE)),
        "scheduler": scheduler.state_dict(),
        "loss": module.loss.state_dict(),
    }

    def save(directory: Path) -> None:
        weights = encoder
        if has_lora(module.encoder.backbone):
            rest["lora"] = lora_state(encoder)
            weights = merged_state(encoder, module.encoder.backbone)
        module.encoder.save(directory / MODEL, weights)
        torch.save(rest, directory / OPTIMIZER)
        (directory / STATE).write_text(json.dumps(vars(state)))

    return save


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
        _load_weights(module.encoder.backbone, rest["lora"], partly=True)
    else:
        _load_weights(module.encoder.backbone, load_file(directory / MODEL / "model.safetensors"))
    set_optimizer_state_dict(module, optimizer, rest["optimizer"], options=StateDictOptions(full_state_dict=True))
    scheduler.load_state_dict(rest["scheduler"])
    module.loss.load_state_dict(rest["loss"])
    return state


def _load_weights(module: nn.Module, state: dict[str, Tensor], *, partly: bool = False) -> None:
    """Puts whole weights, by name, into a module, sharded or not; `partly`: what is not given stays as it is.

    Raises:
        ConfigError: weights that the module does not have, or of another shape.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    wrong = [name for name, tensor in state.items() if shapes.get(name) != tuple(tensor.shape)]
    if wrong or not (partly or shapes.keys() == state.keys()):
        raise ConfigError(f"the checkpoint is of another model ({', '.join(wrong[:3]) or 'weights are missing'})")
    set_model_state_dict(module, dict(state), options=StateDictOptions(full_state_dict=True, strict=not partly))
