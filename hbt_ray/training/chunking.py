"""How a worker cuts its slices into chunks: layout, tokens a chunk, and tokens whose activations are kept.

None of it changes the global batch or its negatives. It is decided when a run begins, by measuring or by the size of
the memory, and kept with its checkpoints: a resumed run adds up its sums in the same order.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from filelock import FileLock

from hbt_ray.config import TrainConfig
from hbt_ray.errors import ConfigError
from hbt_ray.model.chunks import make_chunks
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.precision import autocast

BUDGETS = {"cpu": (1024, 2048, 4096), "cuda": (8192, 16384, 32768, 65536, 131072)}
"""Tokens a chunk that `auto` tries, upwards until one is no faster than the one before."""
NUM_TIMED = 2
GAIN = 1.02
"""A larger chunk must be this much faster: it takes more memory, and timings are noisy."""
MEMORY_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """What `train.token_budget`, `kept_tokens` and `packing` come to."""

    token_budget: int
    kept_tokens: int
    packed: bool


def choose_chunking(
    config: TrainConfig, encoder: Encoder, device: torch.device, *, precision: str, workers_on_node: int = 1
) -> Chunking:
    """What the recipe asks for, with `auto` resolved for this machine.

    Args:
        config: the recipe's.
        encoder: on `device`.
        device: of this worker.
        precision: what it computes in.
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
    budget = config.token_budget
    if budget == "auto":
        budget = known_budget(encoder, device, packed=packed, precision=precision)
    kept = config.kept_tokens
    if kept == "auto":
        kept = tokens_in_memory(encoder, device, workers_on_node)
    return Chunking(token_budget=budget, kept_tokens=kept, packed=packed)


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


def known_budget(encoder: Encoder, device: torch.device, *, packed: bool, precision: str) -> int:
    """`fastest_budget`, measured once on this machine and remembered in the user's cache directory."""
    config = encoder.backbone.config
    parts = {
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "model": [config.model_type, config.hidden_size, config.num_hidden_layers, config.intermediate_size],
        "lengths": sorted(encoder.max_tokens.values()),
        "settings": [packed, precision, _checkpointing(encoder)],
        "tried": [*BUDGETS.get(device.type, BUDGETS["cuda"]), GAIN],
    }
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hbt_ray"
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"token-budget-{digest}.json"
    with FileLock(f"{path}.lock"):  # trials that start together measure one after the other, and only the first does
        if path.exists():
            return int(json.loads(path.read_text())["token_budget"])
        speeds = budget_speeds(encoder, device, packed=packed, precision=precision)
        best = fastest(speeds)
        fresh = path.with_suffix(".part")
        fresh.write_text(json.dumps({"token_budget": best, "tokens_per_s": speeds, **parts}, indent=1))
        fresh.rename(path)
    return best


def fastest(speeds: dict[int, float]) -> int:
    """The smallest budget behind which no larger one is worth its memory."""
    best = min(speeds)
    for budget in sorted(speeds):
        if speeds[budget] > GAIN * speeds[best]:
            best = budget
    return best


def budget_speeds(encoder: Encoder, device: torch.device, *, packed: bool, precision: str) -> dict[int, float]:
    """Tokens a second, forward and backward, by tokens a chunk; ends where more is slower or does not fit."""
    speeds: dict[int, float] = {}
    training = encoder.training
    encoder.train()
    try:
        for budget in BUDGETS.get(device.type, BUDGETS["cuda"]):
            try:
                speeds[budget] = _speed(encoder, device, budget, packed, precision)
            except torch.OutOfMemoryError:
                break
            if speeds[budget] < max(speeds.values()) / GAIN:
                break
    finally:
        encoder.zero_grad(set_to_none=True)
        encoder.train(training)
    if not speeds:
        raise ConfigError(
            f"not even {min(BUDGETS['cuda'])} tokens fit on {device}; set train.token_budget to fewer, or "
            "model.gradient_checkpointing=true"
        )
    return speeds


def _speed(encoder: Encoder, device: torch.device, budget: int, packed: bool, precision: str) -> float:
    """Tokens a second on texts from a few tokens to the longest, as real ones are."""
    rng = np.random.default_rng(0)
    longest = max(encoder.max_tokens.values())
    lengths = np.clip(rng.lognormal(np.log(longest / 4), 0.8, budget), 4, longest).astype(np.int64)
    lengths = np.sort(lengths[: max(1, int(np.searchsorted(np.cumsum(lengths), budget)))])
    values = rng.integers(0, encoder.backbone.config.vocab_size, int(lengths.sum())).astype(np.int32)
    pad_id = int(encoder.tokenizer.pad_token_id or 0)
    values[values == pad_id] = (pad_id + 1) % encoder.backbone.config.vocab_size
    chunks = make_chunks(values, lengths, token_budget=budget, packed=packed, pad_id=pad_id)
    # a CPU is measured by the time of this process, which other work on the machine disturbs less
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds = []
    for _ in range(1 + NUM_TIMED):
        _wait(device)
        begin = clock()
        for chunk in chunks:
            with autocast(device, precision):
                vectors = encoder.forward_chunk(chunk.to(device))
            torch.autograd.backward([vectors.sum()])
        _wait(device)
        seconds.append(clock() - begin)
    return float(lengths.sum() / min(seconds[1:]))


def _checkpointing(encoder: Encoder) -> bool:
    """Whether activations are recomputed; the first is the newer name, and the only one from transformers 6 on."""
    for name in ("is_activation_checkpointing", "is_gradient_checkpointing"):
        if (found := getattr(encoder.backbone, name, None)) is not None:
            return bool(found)
    return False


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
