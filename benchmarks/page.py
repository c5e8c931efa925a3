"""The page of benchmark results, from the JSON files that the benchmarks wrote: no number is written by hand.

python -m benchmarks.page [DIRECTORY_OF_JSON] [PAGE]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.output import cells_of
from hbt_ray.errors import EvaluationError
from hbt_ray.terminal import run_job, say

HEAD = """# Training benchmarks

Made by `python -m benchmarks.page` from what `make bench-train` measured. Arms of a table ran side by side in one
process, a step each in turn; seconds are medians. "CPU time" is that of the process over all threads, which other
work on the machine disturbs less than the wall clock.
"""


def main(argv: Sequence[str]) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default="docs/benchmarks", help="directory of JSON files")
    parser.add_argument("page", nargs="?", type=Path, default="docs/benchmarks.md", help="page to write")
    args = parser.parse_args(argv)
    files = sorted(args.results.glob("*.json"))
    if not files:
        raise EvaluationError(f"{args.results} holds no JSON files; run make bench-train and copy its result there")
    results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    gpu = any(result["device"] == "cuda" for result in results)
    parts = [HEAD, *map(section, results), *([] if gpu else ["Nothing of this was measured on a GPU.\n"])]
    args.page.write_text("\n".join(parts), encoding="utf-8")
    say(f"written: {args.page}")
    return 0


def section(result: dict[str, Any]) -> str:
    """The Markdown of one result."""
    where = result["machine"]
    title = f"## {result['base']} on {result['device']}, {where['cpu']}, {where['num_cpus']} cores, {where['date']}\n"
    versions = ", ".join(f"{name} {where[name]}" for name in ("torch", "transformers", "sentence-transformers"))
    parts = [part for part in result.values() if isinstance(part, dict) and "rows" in part]
    return "\n".join([title, f"{versions}\n", *map(markdown, parts)])


def markdown(part: dict[str, Any]) -> str:
    """One part of a result as a Markdown table."""
    header, *rows = cells_of(part)
    rule = ["---" if isinstance(value, str) else "---:" for value in part["rows"][0].values()][: len(header)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
    return f"### {part['title']}\n\n{lines}\n"


if __name__ == "__main__":
    run_job(main)
