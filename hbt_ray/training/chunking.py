"""How a worker cuts its slices into chunks: layout, tokens a chunk, and tokens whose activations are kept.

None of it changes the global batch or its negatives. It is decided when a run begins and kept with its checkpoints: a
resumed run adds up its sums in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch

from hbt_ray.config import TrainConfig
from hbt_ray.errors import ConfigError
from hbt_ray.model.encoder import Encoder

TOKEN_BUDGET = {"cpu": 1024, "cuda": 16_384}
"""Tokens of a chunk with `auto`.

One thread of an AVX512 CPU does 39,430 tokens/s at 1,024 and 32,966 at 2,048 with a layer of 96, and 756, 886, 814 and
912 at 512, 1,024, 2,048 and 4,096 with MiniLM (6 layers of 384): more takes memory and gains at most 3%. For GPUs the
number is not measured: 64 texts of 256 tokens, whose activations take about 16 GB in XLM-R base in float32.
"""
MEMORY_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """What `train.token_budget`, `kept_tokens` and `packing` come to."""

    token_budget: int
    kept_tokens: int
    packed: bool


def choose_chunking(
    config: TrainConfig, encoder: Encoder, device: torch.device, *, workers_on_node: int = 1
) -> Chunking:
    """What the recipe asks for, with `auto` resolved for this machine.

    Args:
        config: the recipe's.
        encoder: on `device`.
        device: of this worker.
        workers_on_node: workers that share the node's memory.

    Raises:
        ConfigError: packing is asked for and the architecture cannot.
    """
    if config.packing == "on" and not encoder.packs:
        raise ConfigError(
            f"train.packing='on' cannot be used with {type(encoder.backbone).__name__} and its attention "
            f"({encoder.backbone.config._attn_implementation}); allowed are auto and off"
        )
    wanted = config.packing == "on" or (config.packing == "auto" and device.type == "cpu" and not config.compile)
    packed = wanted and encoder.packs
    in_memory = tokens_in_memory(encoder, device, workers_on_node)
    usual = max(1, min(TOKEN_BUDGET.get(device.type, TOKEN_BUDGET["cuda"]), in_memory))
    return Chunking(
        token_budget=usual if config.token_budget == "auto" else config.token_budget,
        kept_tokens=in_memory if config.kept_tokens == "auto" else config.kept_tokens,
        packed=packed,
    )


def tokens_in_memory(encoder: Encoder, device: torch.device, workers_on_node: int) -> int:
    """Tokens whose activations fit in a worker's share of memory, by what a Transformer layer keeps for its gradient.

    About 20 vectors of the hidden size a token and layer, and one and a half rows of attention weights a head; with
    activation checkpointing only a layer's input. The total memory decides, not what happens to be free.
    """
    config = encoder.backbone.config
    length = max(encoder.max_tokens.values())
    floats: float = 20 * config.hidden_size + 1.5 * config.num_attention_heads * length
    if _checkpointing(encoder):
        floats = config.hidden_size + floats / config.num_hidden_layers
    per_token = 4 * floats * config.num_hidden_layers
    memory: float
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = psutil.virtual_memory().total / workers_on_node
    return int(MEMORY_SHARE * memory / per_token)


def _checkpointing(encoder: Encoder) -> bool:
    """Whether activations are recomputed; the first is the newer name, and the only one from transformers 6 on."""
    for name in ("is_activation_checkpointing", "is_gradient_checkpointing"):
        if (is_on := getattr(encoder.backbone, name, None)) is not None:
            return bool(is_on)
    return False
