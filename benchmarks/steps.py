"""One training step in several hands, on the same pairs: ours, a bare loop, and sentence-transformers' losses."""

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.machine import peak_bytes
from benchmarks.pairs import PASSAGE_TOKENS, QUERY_TOKENS, Pairs, equal_pairs
from hbt_ray.config.load import build_recipe
from hbt_ray.model.chunks import pad_ragged
from hbt_ray.model.dropout import use_fast_dropout
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.precision import autocast
from hbt_ray.training.batch import collate
from hbt_ray.training.stepper import Stepper

TEMPERATURE = 0.05
LR = 3e-5

Step = Callable[[int], None]
"""Number of a step -> the whole step, up to the optimiser's."""


def our_stepper(base: str, batch_size: int, precision: str, device: str, **train: Any) -> Stepper:
    """A stepper with the benchmark's settings."""
    recipe = build_recipe(
        {
            "corpus": {"max_query_tokens": QUERY_TOKENS, "max_passage_tokens": PASSAGE_TOKENS},
            "plan": {"batch_size": batch_size},
            "model": {"temperature": TEMPERATURE},
            "train": {"steps": 10_000, "lr": LR, "warmup": 0.0, "decay": "constant", "precision": precision, **train},
        }
    )
    return Stepper(recipe, base, torch.device(device))


def ours(stepper: Stepper, pairs: Pairs, size: int) -> Step:
    """The trainer's step, collation included (which the trainer does in another thread)."""

    def step(number: int) -> None:
        stepper.step = number
        stepper.train_step(stepper.collate(pairs.slice(number, size)))

    return step


def bare_loop(stepper: Stepper, base: str, pairs: Pairs, size: int, *, packed: bool) -> Step:
    """What one would write by hand on the very same chunks: forward, cross entropy, backward, clip, AdamW.

    `packed` has our encoder's layout and dropout; without, it is transformers' model as it comes on padded chunks.
    """
    encoder = Encoder.load(base, attn_implementation="sdpa", max_passage_tokens=PASSAGE_TOKENS).to(stepper.device)
    if packed and stepper.device.type == "cpu":
        use_fast_dropout(encoder)
    encoder.train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=LR, weight_decay=0.01, fused=True)
    pad_id = int(encoder.tokenizer.pad_token_id or 0)
    budget, packed = stepper.chunking.token_budget, packed and stepper.chunking.packed

    def step(number: int) -> None:
        batch = collate(pairs.slice(number, size), pad_id=pad_id, token_budget=budget, packed=packed)
        batch = batch.to(stepper.device)
        with autocast(stepper.device, stepper.precision.name):
            vectors = torch.cat([encoder.forward_chunk(chunk) for chunk in batch.chunks])
        vectors = vectors[torch.argsort(torch.cat([chunk.rows for chunk in batch.chunks]))]
        scores = vectors[:size] @ vectors[size:].T / TEMPERATURE
        loss = F.cross_entropy(scores, torch.arange(size, device=scores.device))
        torch.autograd.backward([loss])
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def sentence_transformers_loss(stepper: Stepper, base: str, pairs: Pairs, size: int, *, cached: bool) -> Step:
    """sentence-transformers' MultipleNegativesRankingLoss, or its cached form with mini-batches of 32, its default.

    Texts are padded to the longest of the batch, as its collator does; tokenising is left out, as it is for ours.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import losses

    model = SentenceTransformer(base, device=str(stepper.device))
    model.train()
    kind: Any = losses.CachedMultipleNegativesRankingLoss if cached else losses.MultipleNegativesRankingLoss
    loss_of = kind(model, scale=1 / TEMPERATURE, **({"mini_batch_size": 32} if cached else {}))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01, fused=True)
    tokenizer: Any = model.tokenizer
    labels = torch.arange(size, device=stepper.device)

    def features(texts: list[np.ndarray]) -> dict[str, torch.Tensor]:
        lengths = np.array([len(ids) for ids in texts])
        ids, mask = pad_ragged(np.concatenate(texts), lengths, int(tokenizer.pad_token_id))
        return {
            "input_ids": torch.from_numpy(ids).to(stepper.device),
            "attention_mask": torch.from_numpy(mask).to(stepper.device),
        }

    def step(number: int) -> None:
        queries, passages = pairs.batch(number, size)
        context: Any = autocast(stepper.device, stepper.precision.name) if not cached else nullcontext()
        if cached and stepper.precision.name == "bf16":
            context = torch.autocast(stepper.device.type, dtype=torch.bfloat16, cache_enabled=False)
        with context:
            loss = loss_of([features(queries), features(passages)], labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def side_by_side(arms: dict[str, Step], rounds: int, device: torch.device) -> dict[str, dict[str, Any]]:
    """Wall and processor seconds of `rounds` steps of each arm, one after the other in every round, after one each.

    Every other round goes through the arms backwards: the arm that meets a batch first makes the kernels for its
    lengths, which the others reuse.
    """
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    cpu: dict[str, list[float]] = {name: [] for name in arms}

    def clocks() -> tuple[float, float]:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter(), time.process_time()

    for number in range(1 + rounds):
        for name, step in list(arms.items())[:: -1 if number % 2 else 1]:
            begin = clocks()
            step(number)
            end = clocks()
            if number:
                seconds[name].append(end[0] - begin[0])
                cpu[name].append(end[1] - begin[1])
    return {
        name: {
            "seconds": seconds[name],
            "median_s": statistics.median(seconds[name]),
            "cpu_s": cpu[name],
            "median_cpu_s": statistics.median(cpu[name]),
        }
        for name in arms
    }


def step_memory(base: str, num_pairs: int, text_tokens: int, chunk_tokens: int) -> dict[str, float]:
    """Peak memory and seconds of one step, after a small one that makes the optimiser's state; for a fresh process.

    Only one chunk's activations are kept, so memory should grow by no more than the vectors.
    """
    stepper = our_stepper(base, num_pairs, "fp32", "cpu", token_budget=chunk_tokens, kept_tokens=0)
    pairs = equal_pairs(num_pairs, int(stepper.encoder.backbone.config.vocab_size), text_tokens)
    ours(stepper, pairs, min(num_pairs, 64))(0)
    begin = time.perf_counter()
    ours(stepper, pairs, num_pairs)(1)
    return {
        "num_pairs": num_pairs,
        "text_tokens": text_tokens,
        "chunk_tokens": chunk_tokens,
        "seconds": time.perf_counter() - begin,
        "threads": torch.get_num_threads(),
        "peak_bytes": peak_bytes(),
    }
