"""Rejected rows: counts on a terminal, and samples to look at."""

from __future__ import annotations

import difflib
import io
import random
from collections.abc import Iterator
from typing import Any, get_args

import pyarrow.parquet as pq
from rich.table import Table

from hbt_ray.cleaning import duplicates
from hbt_ray.cleaning.clean_corpus import Cleaned
from hbt_ray.config.clean import RuleName
from hbt_ray.errors import ConfigError
from hbt_ray.storage import open_fs

MAX_LANGS, MAX_CHARS = 6, 400
REASONS = (*get_args(RuleName), "similarity", duplicates.REASON, "contamination")
"""How the reasons begin for which rows are rejected."""


def rejected_table(cleaned: Cleaned) -> Table:
    """A row a reason: rows, their share, and the languages that have most of them."""
    counts = cleaned.counts
    total = counts.rows.total()
    title = f"{total:,} rows of {counts.items:,} items; kept {counts.kept.rows.total():,} of {counts.kept.items:,}"
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(("rejected for", "rows", "share", "languages")):
        table.add_column(name, justify="right" if number in (1, 2) else "left")
    for problem, num in counts.unusable.most_common():
        table.add_row(problem, f"{num:,}", "", "")
    for reason, langs in sorted(counts.rejected.items(), key=lambda pair: -pair[1].total()):
        most = ", ".join(f"{lang} {num:,}" for lang, num in langs.most_common(MAX_LANGS))
        table.add_row(reason, f"{langs.total():,}", f"{langs.total() / total:.2%}", most)
    for name, kinds in counts.contamination.items():
        for kind, langs in kinds.items():
            most = ", ".join(f"{lang} {num:,}" for lang, num in langs.most_common(MAX_LANGS))
            table.add_row(f"found in {name}: {kind}", f"{langs.total():,}", f"{langs.total() / total:.2%}", most)
    return table


def check_reason(reason: str) -> None:
    """ConfigError where no reason begins so: `--show numbers`, `--show "numbers: passage"`; empty is any."""
    name = reason.partition(":")[0].strip()
    if not any(known.startswith(name) for known in REASONS):
        near = difflib.get_close_matches(name, REASONS, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"--show {reason!r} is not allowed{hint}: rows are rejected for {', '.join(REASONS)}")


def sample_rejected(directory: str, reason: str = "", num: int = 10, seed: int = 0) -> list[dict[str, Any]]:
    """`num` random rows that were rejected for a reason that begins with `reason`, in the columns of `REJECTED`.

    Args:
        directory: of a cleaned corpus.
        reason: `numbers`, `numbers: passage`, ...; empty is any.
        num: rows, if there are as many.
        seed: of the choice.
    """
    rng = random.Random(seed)
    chosen: list[dict[str, Any]] = []
    for seen, row in enumerate(_rejected(directory, reason)):  # a reservoir: the side table may be large
        if len(chosen) < num:
            chosen.append(row)
        elif (place := rng.randrange(seen + 1)) < num:
            chosen[place] = row
    return chosen


def sample_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Rejected rows with what they were compared with."""
    if not rows:
        yield "no row was rejected for that"
    for row in rows:
        value = "" if row["value"] is None or row["value"] != row["value"] else f" ({row['value']:.3g})"
        yield f"{row['reason']}{value}  {row['lang']}  {row['id']}  [{row['source']}]"
        for mine, other in (("question", "other_question"), ("passage", "other_passage")):
            yield f"    {mine}: {_short(row[mine])}"
            if row[other] is not None:
                yield f"    {'against' if mine == 'question' else '       '}: {_short(row[other])}"
        if row["other_id"] not in (None, row["id"]):
            yield f"    of item: {row['other_id']}"


def _rejected(directory: str, reason: str) -> Iterator[dict[str, Any]]:
    fs, root = open_fs(f"{directory}/rejected")
    for path in sorted(path for path in fs.ls(root, detail=False) if path.endswith(".parquet")):
        for batch in pq.ParquetFile(io.BytesIO(fs.cat_file(path))).iter_batches():
            yield from (row for row in batch.to_pylist() if row["reason"].startswith(reason))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARS else line[:MAX_CHARS] + " ..."
