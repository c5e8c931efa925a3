"""The trials of a study as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from hbt_ray.study.trials import Trial, in_order

COLUMNS = {
    "mono_map": "mono mAP",
    "cross_map": "cross mAP",
    "pool_map": "pool mAP",
    "rank_distance": "rank distance",
}


def study_table(name: str, results: Sequence[Trial], baselines: Mapping[str, str] | None = None) -> Table:
    """A row per trial: what it varied, the headline scores on set `name`, and its directory in that of the study.

    `baselines`: name of the trial -> what readers are told it is; they have a column where there are any.
    """
    told = baselines or {}
    fields = sorted({field for result in results for field in result.spec.point})
    table = Table(title=f"scores on {name}", title_justify="left")
    if told:
        table.add_column("baseline")
    for field in (*fields, "train.seed"):
        table.add_column(field.split(".")[-1], justify="right")
    for title in COLUMNS.values():
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("trial", no_wrap=True)
    for result in sorted(results, key=lambda result: in_order(dict(result.spec.overrides))):
        values = dict(result.spec.overrides)
        scores = [_number(result.metrics.get(f"{name}/{key}"), key) for key in COLUMNS]
        mark = "" if result.status == "finished" else f" ({result.status})"
        table.add_row(
            *([told.get(result.spec.name, "")] if told else []),
            *(_value(values.get(field, "")) for field in (*fields, "train.seed")),
            *scores,
            result.spec.name + mark,
        )
    return table


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: float | None, key: str) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.1f}" if key == "rank_distance" else f"{value:.4f}"
