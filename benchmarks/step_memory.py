"""Peak memory of steps with a batch of one size; a program of its own, so that its peak is its own.

    python -m benchmarks.step_memory BASE NUM_PAIRS TEXT_TOKENS CHUNK_TOKENS

prints a line of JSON. Only one chunk's activations are kept, so memory should not grow but for the vectors.
"""

import json
import sys
import time

import torch

from benchmarks.machine import peak_bytes
from benchmarks.pairs import equal_pairs
from benchmarks.steps import our_stepper, ours


def step_memory(base: str, num_pairs: int, text_tokens: int, chunk_tokens: int) -> dict[str, float]:
    """One step, after a small one that makes the optimiser's state."""
    stepper = our_stepper(base, num_pairs, "fp32", "cpu", token_budget=chunk_tokens, kept_tokens=0)
    pairs = equal_pairs(num_pairs, int(stepper.encoder.backbone.config.vocab_size), text_tokens)
    ours(stepper, pairs, min(num_pairs, 64))(0)
    begin = time.perf_counter()
    ours(stepper, pairs, num_pairs)(1)
    seconds = time.perf_counter() - begin
    return {
        "num_pairs": num_pairs,
        "text_tokens": text_tokens,
        "chunk_tokens": chunk_tokens,
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    print(json.dumps(step_memory(sys.argv[1], *map(int, sys.argv[2:]))))
