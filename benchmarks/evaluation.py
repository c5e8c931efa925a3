"""How long scoring takes once the texts are encoded, against plain NumPy, and what a large search needs.

    python -m benchmarks.evaluation [--data DIR] [--json FILE] [--small]

`--data` names a directory with `xquad_r/eval` and `many_lang_parallel/ntrex128_headline_qa.parquet`; without it the
sets are synthetic ones of the same shape. The vectors are random in either case, similar where passages answer.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.machine import machine
from benchmarks.reference import reference_headline, reference_intervals, reference_scores
from benchmarks.synthetic import DIM, planted_vectors, synthetic_ntrex, synthetic_xquad_r
from hbt_ray.arrays import VectorArray
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.significance import NUM_RESAMPLES, intervals
from hbt_ray.retrieval.sets.lareqa import load_lareqa
from hbt_ray.retrieval.sets.longform import load_longform
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.terminal import run_job, say, show

NUM_RUNS = 3
AGREEMENT = 1e-6
"""By how much mAP may differ from the reference: float32 scores of another shape may round the last bit otherwise."""


def main(argv: Sequence[str]) -> int:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="directory of the real sets; without it they are synthetic")
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    parser.add_argument("--small", action="store_true", help="small synthetic sets, for a test of the benchmark")
    args = parser.parse_args(argv)
    if args.data and args.small:
        raise EvaluationError("--small is of synthetic sets and --data of real ones; give one of them.")
    result = measure(args.data, args.small)
    show(result_table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        say(f"written: {args.json}")
    return 0


def measure(data: Path | None, small: bool) -> dict[str, Any]:
    """All measurements, in plain types; see `main`."""
    num_resamples = 50 if small else NUM_RESAMPLES
    xquad_r, ntrex = _sets(data, small)
    large = (20_000, 50, 100, 64) if small else (1_000_000, 1_000, 1_000, DIM)
    return {
        "machine": machine("numpy", "faiss-cpu"),
        "data": "synthetic" if data is None else "real",
        "small": small,
        "num_runs": NUM_RUNS,
        "xquad_r": _shape(xquad_r) | _against_reference(xquad_r, num_resamples),
        "ntrex128": _shape(ntrex) | _scoring(ntrex, *planted_vectors(ntrex), num_resamples)[0],
        "search": _large_search(large),
    }


def result_table(result: dict[str, Any]) -> Table:
    """The measurements of `measure` for the terminal."""
    where = result["machine"]
    table = Table(title=f"Scoring beyond encoding, {result['data']} sets; {where['cpu']}, {where['num_cpus']} CPUs")
    for name in ("what", "ours", "plain NumPy", "ratio"):
        table.add_column(name, justify="left" if name == "what" else "right")
    ours, plain, ratio = (result["xquad_r"][name] for name in ("median", "reference_median", "ratio"))
    for name in ("score", "intervals", "sum"):
        table.add_row(
            f"{_title(result['xquad_r'])}: {name}", f"{ours[name]:.2f} s", f"{plain[name]:.2f} s", f"{ratio[name]:.1f}"
        )
    for name, seconds in result["ntrex128"]["median"].items():
        table.add_row(f"{_title(result['ntrex128'])}: {name}", f"{seconds:.2f} s")
    search = result["search"]
    pool = f"{search['num_passages']:,} x {search['dim']}"
    size = f"first {search['top_k']:,} of {pool}, {search['num_queries']:,} queries"
    table.add_row(f"{size}: search", f"{search['seconds']:.2f} s")
    table.add_row(f"{size}: peak memory of the process", f"{search['peak_bytes'] / 1e9:.2f} GB")
    table.add_row(f"{size}: peak over vectors", f"{search['peak_over_vectors']:.2f}")
    return table


def _sets(data: Path | None, small: bool) -> tuple[RetrievalSet, RetrievalSet]:
    if small:
        return synthetic_xquad_r(3, 40, 130), synthetic_ntrex(12, 10)
    if data is None:
        return synthetic_xquad_r(), synthetic_ntrex()
    ntrex = data / "many_lang_parallel" / "ntrex128_headline_qa.parquet"
    return load_lareqa(data / "xquad_r" / "eval"), load_longform(ntrex, name="ntrex128")


def _against_reference(rs: RetrievalSet, num_resamples: int) -> dict[str, Any]:
    queries, passages = planted_vectors(rs)
    ours, headline = _scoring(rs, queries, passages, num_resamples)

    seconds, plain = _timed(
        lambda: reference_scores(rs, queries, passages), lambda plain: reference_intervals(rs, plain, num_resamples)
    )
    want = reference_headline(rs, plain)
    for name in ("mono_map", "cross_map", "pool_map"):
        if abs(headline[name] - want[name]) > AGREEMENT:
            raise EvaluationError(f"{name} is {headline[name]} and by full sorts {want[name]}; one of them is wrong.")
    reference = _medians(seconds)
    ratio = {name: reference[name] / value for name, value in ours["median"].items()}
    return ours | {"reference_seconds": seconds, "reference_median": reference, "ratio": ratio, "headline": headline}


def _scoring(
    rs: RetrievalSet, queries: VectorArray, passages: VectorArray, num_resamples: int
) -> tuple[dict[str, Any], dict[str, float]]:
    seconds, scores = _timed(
        lambda: score(rs, queries, passages), lambda scores: intervals(scores, num_resamples=num_resamples)
    )
    return {"seconds": seconds, "median": _medians(seconds)}, scores.headline()


def _timed(run_score: Callable[[], Any], run_intervals: Callable[[Any], Any]) -> tuple[dict[str, list[float]], Any]:
    """Seconds of NUM_RUNS runs, and what the last `run_score` gave."""
    seconds: dict[str, list[float]] = {"score": [], "intervals": [], "sum": []}
    scores = None
    for _ in range(NUM_RUNS):
        start = time.perf_counter()
        scores = run_score()
        scored = time.perf_counter()
        run_intervals(scores)
        end = time.perf_counter()
        for name, value in (("score", scored - start), ("intervals", end - scored), ("sum", end - start)):
            seconds[name].append(value)
    return seconds, scores


def _medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in seconds.items()}


def _large_search(sizes: tuple[int, int, int, int]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.large_search", *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EvaluationError(f"{' '.join(command[1:])} ended with status {done.returncode}: {done.stderr[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _shape(rs: RetrievalSet) -> dict[str, Any]:
    return {"name": rs.name, "num_langs": rs.num_langs, "num_queries": rs.num_queries, "num_passages": rs.num_passages}


def _title(shape: dict[str, Any]) -> str:
    return f"{shape['name']} ({shape['num_queries']:,} x {shape['num_passages']:,}, {shape['num_langs']} languages)"


if __name__ == "__main__":
    run_job(main)
