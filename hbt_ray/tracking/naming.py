"""How settings and metrics become names and values that MLflow accepts.

MLflow's limits: 250 characters a name, 6,000 a parameter value, 8,000 a tag value (we stay under all three);
names of word characters, `_-. :/` only, so `recall@10` is recorded as `recall_at_10`.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

MAX_NAME_CHARS = 250
MAX_VALUE_CHARS = 6000

Row = Mapping[str, Any]
"""One record of metrics: `step`, optionally `time_ms` (Unix time), every other name a number."""

ROW_FIELDS = ("step", "time_ms")


def metric_name(name: str) -> str:
    """The name under which MLflow shows a metric or parameter."""
    cleaned = re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))
    return cleaned.strip("/")[:MAX_NAME_CHARS] or "_"


def flatten_params(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `section.field` -> text; lists, numbers and booleans as JSON.

    What is None is left out: a text among numbers would make the column one of texts, which sorts by no size.

    >>> flatten_params({"mix": {"alpha": 0.5, "langs": ["de", "hi"], "temperature": None}})
    {'mix.alpha': '0.5', 'mix.langs': '["de", "hi"]'}
    """
    flat: dict[str, str] = {}
    for key, value in params.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(flatten_params(value, f"{name}."))
        elif value is not None:
            flat[metric_name(name)] = _text(value)
    return flat


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 1] + "…"


def plain_rows(rows: Iterable[Row]) -> list[dict[str, float]]:
    """Rows of plain numbers, stamped with the time of the call: safe to keep, to pickle and to send twice.

    Tensors become numbers here, on the sender's device; a value that is not a number becomes NaN, which the store
    counts and leaves out. MLflow takes a record of equal name, step, time and value for the same one; the fixed time
    stamp is what makes a retry harmless.

    Raises:
        ValueError: a row without an integer `step`.
    """
    now, plain = int(time.time() * 1000), []
    for row in rows:
        if "step" not in row or int(row["step"]) != row["step"]:
            raise ValueError(f"metric row {dict(row)!r}: an integer `step` is required; add it to the row")
        stamped: dict[str, float] = {"step": int(row["step"]), "time_ms": int(row.get("time_ms", now))}
        stamped.update((metric_name(k), _number(v)) for k, v in row.items() if k not in ROW_FIELDS)
        plain.append(stamped)
    return plain


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
