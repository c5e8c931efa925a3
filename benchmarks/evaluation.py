"""How long scoring takes once the texts are encoded, against plain NumPy, and what a large search needs.

    python -m benchmarks.evaluation [--data DIR] [--json FILE] [--small]

`--data` names a directory with `xquad_r/eval` and `many_lang_parallel/ntrex128_headline_qa.parquet`; without it the
sets are synthetic ones of the same shape. The vectors are random in either case, similar where passages answer.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import in_fresh_process, machine, peak_bytes
from benchmarks.output import report
from benchmarks.reference import reference_headline, reference_intervals, reference_scores
from benchmarks.synthetic import DIM, planted_vectors, synthetic_ntrex, synthetic_xquad_r, unit_vectors
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.search import search
from hbt_ray.retrieval.scoring.significance import NUM_RESAMPLES, intervals
from hbt_ray.retrieval.sets.lareqa import load_lareqa
from hbt_ray.retrieval.sets.longform import load_longform
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.terminal import run_job

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
    for name in ("scoring", "search"):
        report(result, name, args.json)
    return 0


def measure(data: Path | None, small: bool) -> dict[str, Any]:
    """All measurements, in plain types; see `main`."""
    num_resamples = 50 if small else NUM_RESAMPLES
    xquad_r, ntrex = _sets(data, small)
    rows = _rows(xquad_r, num_resamples, against_reference=True) + _rows(ntrex, num_resamples, against_reference=False)
    title = f"Scoring beyond encoding, {'real' if data else 'synthetic'} sets"
    large = (20_000, 50, 100, 64) if small else (1_000_000, 1_000, 1_000, DIM)
    return {
        "machine": machine("numpy", "faiss-cpu"),
        "scoring": {"title": title, "rows": rows},
        "search": {"title": "Exact search", "rows": [in_fresh_process(large_search, *large)]},
    }


def large_search(num_passages: int, num_queries: int, top_k: int, dim: int) -> dict[str, Any]:
    """Exact search of random unit vectors; the peak is the whole process's, interpreter and libraries included."""
    rng = np.random.default_rng(0)
    queries, passages = unit_vectors(rng, num_queries, dim), unit_vectors(rng, num_passages, dim)
    before = peak_bytes()
    start = time.perf_counter()
    best = search(queries, passages, top_k)
    seconds = time.perf_counter() - start
    peak = peak_bytes()
    return {
        "passages": num_passages,
        "queries": num_queries,
        "first": best.ids.shape[1],
        "dim": dim,
        "s": seconds,
        "MB of vectors": passages.nbytes / 1e6,
        "MB before": before / 1e6,
        "peak MB": peak / 1e6,
        "peak / vectors": peak / passages.nbytes,
    }


def _sets(data: Path | None, small: bool) -> tuple[RetrievalSet, RetrievalSet]:
    if small:
        return synthetic_xquad_r(3, 40, 130), synthetic_ntrex(12, 10)
    if data is None:
        return synthetic_xquad_r(), synthetic_ntrex()
    ntrex = data / "many_lang_parallel" / "ntrex128_headline_qa.parquet"
    return load_lareqa(data / "xquad_r" / "eval"), load_longform(ntrex, name="ntrex128")


def _rows(rs: RetrievalSet, num_resamples: int, *, against_reference: bool) -> list[dict[str, Any]]:
    """Seconds of scores, intervals and both, and how many times as long plain NumPy takes, on large sets too long."""
    queries, passages = planted_vectors(rs)
    times, scores = _timed(
        lambda: score(rs, queries, passages), lambda scores: intervals(scores, num_resamples=num_resamples)
    )
    plain_times: dict[str, float] = {}
    if against_reference:
        plain_times, plain = _timed(
            lambda: reference_scores(rs, queries, passages), lambda plain: reference_intervals(rs, plain, num_resamples)
        )
        want = reference_headline(rs, plain)
        for name, value in scores.headline().items():
            if name in ("mono_map", "cross_map", "pool_map") and abs(value - want[name]) > AGREEMENT:
                raise EvaluationError(f"{name} is {value} and by full sorts {want[name]}; one of them is wrong.")
    size = f"{rs.name} ({rs.num_queries:,} x {rs.num_passages:,}, {rs.num_langs} languages)"
    return [
        {
            "measured": f"{size}: {name}",
            "ours (s)": seconds,
            "plain NumPy (s)": plain_times.get(name),
            "ratio": plain_times[name] / seconds if plain_times else None,
        }
        for name, seconds in times.items()
    ]


def _timed(run_score: Callable[[], Any], run_intervals: Callable[[Any], Any]) -> tuple[dict[str, float], Any]:
    """Median seconds of NUM_RUNS runs, and the result of the last `run_score`."""
    runs: list[tuple[float, float, float]] = []
    scores = None
    for _ in range(NUM_RUNS):
        start = time.perf_counter()
        scores = run_score()
        scored = time.perf_counter()
        run_intervals(scores)
        end = time.perf_counter()
        runs.append((scored - start, end - scored, end - start))
    names = ("score", "intervals", "sum")
    return dict(zip(names, map(statistics.median, zip(*runs, strict=True)), strict=True)), scores


if __name__ == "__main__":
    run_job(main)
