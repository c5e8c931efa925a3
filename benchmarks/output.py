"""The measurements of a benchmark: tables for people, and the JSON file that they and the page are made from.

A result is `{"machine": {...}, name: {"title": ..., "rows": [{column: text or number}]}}`; a row's lists, such as the
seconds of single steps, are in the file only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from hbt_ray.terminal import say, show


def cells_of(part: dict[str, Any]) -> list[list[str]]:
    """Header and rows of one part of a result, as texts."""
    columns = [name for name, value in part["rows"][0].items() if not isinstance(value, list)]
    return [columns, *([_cell(row.get(name)) for name in columns] for row in part["rows"])]


def report(result: dict[str, Any], name: str, file: Path | None) -> None:
    """Show the part `name` as a table, and write the whole result to a file, if one is named."""
    header, *rows = cells_of(result[name])
    table = Table(title=result[name]["title"], title_justify="left")
    for column, value in zip(header, result[name]["rows"][0].values(), strict=False):
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*row)
    show(table)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        say(f"written: {file}")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
