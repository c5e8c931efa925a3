"""How fast a parallel corpus is cleaned and prepared, and how much memory all processes together take meanwhile.

python -m benchmarks.prepare [--items N] [--langs L] [--cpus C] [--base MODEL] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq

from benchmarks.corpora import write_corpus
from benchmarks.machine import machine, peak_memory
from benchmarks.output import report
from hbt_ray.cleaning.clean_corpus import clean
from hbt_ray.cluster.connect import join
from hbt_ray.config import CleanConfig, CorpusConfig
from hbt_ray.corpus.prepare import prepare
from hbt_ray.errors import ConfigError
from hbt_ray.model.tiny import build_tiny_encoder
from hbt_ray.terminal import run_job, say

LANGS = ("en", "es", "de", "ru", "tr", "ar", "th", "zh", "hi", "el", "vi")
MIB = 1 << 20
T = TypeVar("T")


def main(argv: Sequence[str]) -> int:
    """Make a corpus, clean and prepare it, print the table and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--langs", type=int, default=9, help=f"how many of {', '.join(LANGS)}")
    parser.add_argument("--cpus", type=int, default=os.cpu_count() or 1, help="of the local Ray cluster")
    parser.add_argument("--base", default="", help="model whose tokenizer is used (default: a tiny one)")
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    args = parser.parse_args(argv)
    if not 1 <= args.langs <= len(LANGS) or args.items < 100 or args.cpus < 1:
        raise ConfigError(f"--items is 100 or more, --langs 1 to {len(LANGS)}, --cpus 1 or more")
    with tempfile.TemporaryDirectory(prefix="hbt-bench-") as directory:
        result = measure(Path(directory), args.items, LANGS[: args.langs], args.cpus, args.base)
    report(result, "stages", args.json)
    return 0


def measure(directory: Path, num_items: int, langs: Sequence[str], cpus: int, base: str = "") -> dict[str, Any]:
    """Seconds, rows/s, MB/s of text and peak memory of each stage; the rows that cleaning kept are prepared."""
    start = time.perf_counter()
    num_bytes = write_corpus(directory / "corpus", num_items, langs)
    seconds = time.perf_counter() - start
    say(f"{num_items:,} items in {len(langs)} languages, {num_bytes / 1e6:,.0f} MB of text, made in {seconds:.1f} s")
    base = base or _tiny(directory)
    join(cpus)
    rows: list[dict[str, Any]] = []

    def stage(name: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        with peak_memory() as peak:
            result = work()
        seconds = time.perf_counter() - start
        rows.append(
            {
                "stage": name,
                "seconds": seconds,
                "rows/s": num_items * len(langs) / seconds,
                "MB/s": num_bytes / 1e6 / seconds,
                "peak memory (MiB, PSS of all processes)": peak.num_bytes / MIB,
            }
        )
        say(f"{name}: {seconds:.1f} s, {peak.num_bytes / MIB:,.0f} MiB")
        return result

    raw = CorpusConfig(input=str(directory / "corpus"))
    cleaned = stage("clean", lambda: clean(raw, CleanConfig(), str(directory / "cleaned"), report=_quiet))
    kept = CorpusConfig(input=cleaned.kept)
    stage("prepare", lambda: prepare(kept, base, str(directory / "corpora"), report=_quiet))
    counts = {"items": num_items, "langs": list(langs), "kept_rows": cleaned.counts.kept.rows.total()}
    title = f"{num_items:,} items x {len(langs)} languages on {cpus} CPUs, {num_bytes / 1e6:,.0f} MB of text"
    return {"machine": machine("ray", "pyarrow"), **counts, "stages": {"title": title, "rows": rows}}


def _tiny(directory: Path) -> str:
    texts = [
        text
        for path in sorted((directory / "corpus").glob("*.parquet"))
        for row in pq.read_table(path, columns=["question", "passage"]).slice(0, 1000).to_pylist()
        for text in row.values()
    ]
    build_tiny_encoder(directory / "base", texts)
    return str(directory / "base")


def _quiet(line: str) -> None:
    """Progress is not printed."""


if __name__ == "__main__":
    run_job(main)
