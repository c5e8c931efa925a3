"""What the jobs share: their arguments, and errors as one line with a status."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from hbt_ray.errors import HbtError, one_line

USAGE_STATUS, INTERRUPTED = 2, 130
Report = Callable[[str], None]
"""Receives one line of news at a time; `say` is one."""
NEWS_S = 15.0
"""Seconds between two lines of progress where no bar can be drawn."""
console = Console(highlight=False, soft_wrap=True)
TABLE_WIDTH = 140  # a run id has 32 characters; a log file says it has 80 columns


def say(line: str) -> None:
    """News of a job: one line, at once."""
    console.print(line, markup=False)
    sys.stdout.flush()


def show(table: Table) -> None:
    """A table, not squeezed where the output is a file or a narrow terminal."""
    wide = console if console.width >= TABLE_WIDTH else Console(highlight=False, width=TABLE_WIDTH)
    (console if console.is_terminal else wide).print(table)


class Count(Protocol):
    """Shows how far something is; `note` is what else there is to say, such as rates."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None: ...


@contextmanager
def counting(unit: str, *, own_time: bool = False) -> Iterator[Count]:
    """Gives `count(what, done, total)`: a bar for each `what` on a terminal, a line now and then elsewhere.

    With `own_time` the notes say what time is left, and the bars do not.
    """
    if console.is_terminal:
        shown = TextColumn("{task.fields[note]}") if own_time else TimeRemainingColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), shown)
        with Progress(*columns, console=console, transient=True) as bars:
            tasks: dict[str, TaskID] = {}

            def draw(what: str, done: int, total: int, note: str = "") -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(f"{what} {unit}", note="")
                bars.update(tasks[what], completed=done, total=total, note=note)

            yield draw
        return
    last = time.monotonic()

    def tell(what: str, done: int, total: int, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= NEWS_S:
            last = time.monotonic()
            say(f"{what} {unit}: {done:,} of {total:,}{', ' if note else ''}{note}")

    yield tell


def quiet_transformers() -> None:
    """No bars for loading and saving weights: jobs have their own news."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def recipe_parser(description: str) -> argparse.ArgumentParser:
    """Arguments of a job that follows a recipe: `--recipe FILE [section.field=value ...]`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--recipe", required=True, help="YAML file, see jobs/recipes")
    parser.add_argument("overrides", nargs="*", metavar="section.field=value", help="fields to change")
    parser.add_argument("--verbose", action="store_true", help="show what the workers print")
    return parser


def run_job(main: Callable[[Sequence[str]], int], argv: Sequence[str] | None = None) -> None:
    """Run `main` and exit: 2 with one line for an error of the user's, 130 when interrupted."""
    try:
        status = main(sys.argv[1:] if argv is None else argv)
    except HbtError as error:
        print(f"error: {one_line(error, 4000)}", file=sys.stderr)
        status = USAGE_STATUS
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        status = INTERRUPTED
    sys.stdout.flush()
    sys.stderr.flush()
    raise SystemExit(status)
