"""What was rejected, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from hbt_ray.cleaning.clean import Cleaned

MAX_LANGS, MAX_CHARS = 6, 400


def rejected_table(found: Cleaned) -> Table:
    """A row a reason: rows, their share, and the languages that have most of them."""
    counts = found.counts
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


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARS else line[:MAX_CHARS] + " ..."
