"""How fast a parallel corpus is prepared, and how much memory all processes together take meanwhile.

python -m benchmarks.prepare [--items N] [--langs L] [--cpus C] [--json FILE] [--keep DIRECTORY]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.corpora import write_corpus
from benchmarks.memory import PeakMemory
from hbt_ray.cleaning.clean import Cleaned, clean
from hbt_ray.cluster.connect import join
from hbt_ray.config import CleanConfig, CorpusConfig
from hbt_ray.corpus.prepare import prepare
from hbt_ray.errors import ConfigError
from hbt_ray.terminal import run_job, say, show

LANGS = ("en", "es", "de", "ru", "tr", "ar", "th", "zh", "hi", "el", "vi")
STAGES = ("clean", "prepare")
MIB = 1 << 20


def main(argv: Sequence[str]) -> int:
    """Make a corpus, prepare it, print the table and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--langs", type=int, default=9, help=f"how many of {', '.join(LANGS)}")
    parser.add_argument("--cpus", type=int, default=os.cpu_count() or 1, help="of the local Ray cluster")
    parser.add_argument("--base", default="", help="model whose tokenizer is used (default: a tiny one)")
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES, help="what is measured (default: both)")
    parser.add_argument("--keep", type=Path, help="directory in which everything is left (default: none is)")
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    args = parser.parse_args(argv)
    if not 1 <= args.langs <= len(LANGS) or args.items < 100 or args.cpus < 1:
        raise ConfigError(f"--items is 100 or more, --langs 1 to {len(LANGS)}, --cpus 1 or more")
    place = nullcontext(str(args.keep)) if args.keep else tempfile.TemporaryDirectory(prefix="hbt-bench-")
    with place as directory:
        result = measure(Path(directory), args.items, LANGS[: args.langs], args.cpus, args.base, args.stages)
    show(result_table(result))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        say(f"written: {args.json}")
    return 0


def measure(
    directory: Path, num_items: int, langs: Sequence[str], cpus: int, base: str = "", names: Sequence[str] = STAGES
) -> dict[str, Any]:
    """Seconds, rows/s, MB/s of text and peak memory of each stage; what is prepared is what cleaning kept."""
    start = time.perf_counter()
    num_bytes = write_corpus(directory, num_items, langs)
    say(f"{num_items:,} items in {len(langs)} languages, {num_bytes / 1e6:,.0f} MB of text, made in {_since(start)} s")
    base = base or _tiny(directory)
    join(cpus)
    source = str(directory / "corpus")
    kept_rows = num_items * len(langs)
    stages: dict[str, dict[str, Any]] = {}

    def stage(name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        with PeakMemory() as memory:
            work()
        seconds = time.perf_counter() - start
        stages[name] = {
            "seconds": seconds,
            "rows_per_s": num_items * len(langs) / seconds,
            "mb_per_s": num_bytes / 1e6 / seconds,
            "peak_pss_bytes": memory.peak,
            "at_peak": dict(sorted(memory.at_peak.items(), key=lambda pair: -pair[1])[:12]),
        }
        say(f"{name}: {seconds:.1f} s, {memory.peak / MIB:,.0f} MiB")

    if "clean" in names:
        cleaned: list[Cleaned] = []

        def work() -> None:
            cleaned.append(clean(CorpusConfig(input=source), CleanConfig(), str(directory / "cleaned"), report=_quiet))

        stage("clean", work)
        source, kept_rows = cleaned[0].kept, cleaned[0].counts.kept.rows.total()
    if "prepare" in names:
        stage("prepare", lambda: prepare(CorpusConfig(input=source), base, str(directory / "corpora"), report=_quiet))
    return {
        "items": num_items,
        "langs": list(langs),
        "rows": num_items * len(langs),
        "kept_rows": kept_rows,
        "text_bytes": num_bytes,
        "cpus": cpus,
        "stages": stages,
    }


def result_table(result: dict[str, Any]) -> Table:
    """A row a stage."""
    title = f"{result['items']:,} items x {len(result['langs'])} languages on {result['cpus']} CPUs"
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(("stage", "seconds", "rows/s", "MB/s", "peak memory (MiB, PSS of all processes)")):
        table.add_column(name, justify="left" if number == 0 else "right")
    for name, found in result["stages"].items():
        table.add_row(
            name,
            f"{found['seconds']:.1f}",
            f"{found['rows_per_s']:,.0f}",
            f"{found['mb_per_s']:.2f}",
            f"{found['peak_pss_bytes'] / MIB:,.0f}",
        )
    return table


def _tiny(directory: Path) -> str:
    import pyarrow.parquet as pq

    from hbt_ray.model.tiny import build_tiny_encoder

    texts = [
        text
        for path in sorted((directory / ".sample").glob("*.parquet"))
        for row in pq.read_table(path, columns=["question", "passage"]).slice(0, 1000).to_pylist()
        for text in row.values()
    ]
    build_tiny_encoder(directory / "base", texts)
    return str(directory / "base")


def _quiet(line: str) -> None:
    """Nothing is said of progress."""


def _since(start: float) -> str:
    return f"{time.perf_counter() - start:.1f}"


if __name__ == "__main__":
    run_job(main)
