"""The page of benchmark results, from the JSON files that the benchmarks wrote: no number is written by hand.

python -m benchmarks.page [DIRECTORY_OF_JSON] [PAGE]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.training import TABLES
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
    parser.add_argument(
        "results", nargs="?", type=Path, default=Path("docs/benchmarks"), help="directory of JSON files"
    )
    parser.add_argument("page", nargs="?", type=Path, default=Path("docs/benchmarks.md"), help="page to write")
    args = parser.parse_args(argv)
    files = sorted(args.results.glob("*.json"))
    if not files:
        raise EvaluationError(f"{args.results} holds no JSON files; run make bench-train and copy its result there")
    args.page.write_text(page([json.loads(file.read_text(encoding="utf-8")) for file in files]), encoding="utf-8")
    say(f"written: {args.page}")
    return 0


def page(results: Sequence[dict[str, Any]]) -> str:
    """The Markdown of the results, one section each."""
    parts = [HEAD]
    for result in results:
        where = result["machine"]
        versions = ", ".join(f"{name} {where[name]}" for name in ("torch", "transformers", "sentence-transformers"))
        parts.append(f"## {result['base']}, {where['cpu']}, {where['num_cpus']} cores, {where['date']}\n\n{versions}\n")
        parts += [markdown_table(table(result[name])) for name, table in TABLES.items() if name in result]
    if missing := [name for name in TABLES if not any(name in result for result in results)]:
        parts.append(f"Not measured: {', '.join(missing)}.\n")
    if not any(result.get("device") == "cuda" for result in results):
        parts.append("Not measured on a GPU: all of it, and with it tokens/s of an encoder as large as XLM-R base.\n")
    return "\n".join(parts)


def markdown_table(table: Table) -> str:
    """A rich table with its title as Markdown."""
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    rows = [[str(column.header) for column in table.columns], *map(list, zip(*cells, strict=True))]
    rule = ["---:" if column.justify == "right" else "---" for column in table.columns]
    lines = ["| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:])]
    return f"### {table.title}\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_job(main)
