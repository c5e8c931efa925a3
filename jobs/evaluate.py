"""Score any encoder on a retrieval set: inside each language, across languages and in the pool.

python jobs/evaluate.py --model DIRECTORY_OR_NAME --set xquad_r:DIRECTORY [--langs en de ...]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.progress import Progress

from hbt_ray.cli import console, quiet_transformers, run_job, say
from hbt_ray.evaluation.benchmarks import BENCHMARKS, load_set
from hbt_ray.evaluation.encode import encode_set
from hbt_ray.evaluation.score import score
from hbt_ray.evaluation.table import print_scores
from hbt_ray.experiment import resolve_model
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.pooling import POOLINGS
from hbt_ray.model.precision import PRECISIONS, autocast, resolve_precision


def parser() -> argparse.ArgumentParser:
    """The arguments of the job."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--model", required=True, help="model directory, Hugging Face name, or package:NAME")
    args.add_argument("--set", required=True, help=f"KIND:DIRECTORY, KIND one of {', '.join(BENCHMARKS)}")
    args.add_argument("--langs", nargs="*", default=(), help="languages of the set (default: all it has)")
    args.add_argument(
        "--precision", default="fp32", choices=PRECISIONS, help="default fp32: the same scores on any machine"
    )
    args.add_argument("--max-query-tokens", type=int, help="default: what the model was made for")
    args.add_argument("--max-passage-tokens", type=int, help="default: what the model was made for")
    args.add_argument("--pooling", default="auto", choices=("auto", *POOLINGS))
    args.add_argument("--query-prefix", help="default: as the model says, else none")
    args.add_argument("--passage-prefix", help="default: as the model says, else none")
    args.add_argument("--trust-remote-code", action="store_true", help="let the model run code of its own")
    args.add_argument("--json", type=Path, help="write all scores to this file as well")
    return args


def main(argv: Sequence[str]) -> int:
    """Encode, score, print."""
    args = parser().parse_args(argv)
    quiet_transformers()
    found = load_set(args.set, args.langs)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(os.cpu_count() or 1)
    encoder = Encoder.load(
        resolve_model(args.model),
        pooling=args.pooling,
        query_prefix=args.query_prefix,
        passage_prefix=args.passage_prefix,
        trust_remote_code=args.trust_remote_code,
        max_query_tokens=args.max_query_tokens,
        max_passage_tokens=args.max_passage_tokens,
        device=device,
    )
    say(f"{found.name}: {found.num_queries:,} queries, {found.num_passages:,} passages, {len(found.langs)} languages")
    say(f"{args.model} on {device}: {resolve_precision(device, args.precision).reason}")
    with Progress(console=console, transient=True) as progress, autocast(device, args.precision):
        tasks = {role: progress.add_task(f"encoding {role}", total=None) for role in ("query", "passage")}
        vectors = encode_set(
            encoder,
            found,
            progress=lambda role, done, total: progress.update(tasks[role], completed=done, total=total),
            texts_at_a_time=1024,
        )
    scores = score(found, *vectors)
    print_scores(scores, console)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(scores.to_json(), indent=1))
        say(f"scores written to {args.json}")
    return 0


if __name__ == "__main__":
    run_job(main)
