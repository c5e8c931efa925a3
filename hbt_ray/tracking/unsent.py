"""Records that a job could not hand to its tracking store, as a file that the next job of the name sends first.

One JSON object a line, `{"method": ..., "arguments": [...]}`: calls of a `RunWriter`, in their order. Sending a record
twice does no harm, so the file is removed only when all of it has arrived.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from hbt_ray.storage import write_whole
from hbt_ray.tracking.dataset_info import DatasetInfo

logger = logging.getLogger(__name__)

Call = tuple[str, tuple[Any, ...]]
"""A method of `RunWriter`, and its arguments."""

METHODS = ("start_run", "log_params", "log_metrics", "log_datasets", "log_artifact_bytes", "finish_run")


def save_calls(path: Path, calls: Iterable[Call]) -> None:
    """Write calls in the place of what the file held."""
    write_whole(str(path), _lines(calls))


def append_calls(path: Path, calls: Iterable[Call]) -> None:
    """Write calls behind what the file holds."""
    with path.open("ab") as file:
        file.write(_lines(calls))


def load_calls(path: Path) -> list[Call]:
    """The calls of the file, none where there is no file; lines that are no calls are left out with a warning."""
    if not path.is_file():
        return []
    calls: list[Call] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            tree = json.loads(line)
            if tree["method"] not in METHODS:
                raise ValueError(f"no method {tree['method']!r}")
            calls.append((str(tree["method"]), _arguments(tree["method"], tree["arguments"])))
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("%s, line %d is not a record and is not sent: %s", path, number, error)
    return calls


def _lines(calls: Iterable[Call]) -> bytes:
    lines = [json.dumps({"method": name, "arguments": _plain(arguments)}) for name, arguments in calls]
    return "".join(line + "\n" for line in lines).encode()


def _plain(arguments: Sequence[Any]) -> list[Any]:
    return [_value(argument) for argument in arguments]


def _value(argument: Any) -> Any:
    if isinstance(argument, bytes):
        return base64.b64encode(argument).decode()
    if is_dataclass(argument) and not isinstance(argument, type):
        return asdict(argument)
    return [_value(each) for each in argument] if isinstance(argument, tuple | list) else argument


def _arguments(method: str, arguments: list[Any]) -> tuple[Any, ...]:
    if method == "log_artifact_bytes":
        key, path, content = arguments
        return key, path, base64.b64decode(content)
    if method == "log_datasets":
        key, datasets = arguments
        return key, tuple(DatasetInfo(**found) for found in datasets)
    return tuple(arguments)
