"""Records on their way to a store: what they are, which go together, and which a store will never take."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mlflow.exceptions import MlflowException

from hbt_ray.errors import HbtError
from hbt_ray.tracking.unsent import Call

MAX_ROWS_PER_CALL = 1000

# What MLflow says of a request that will fail the same way for ever.
REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}


@dataclass
class Record:
    """What was handed in for the run of a key, and how it is written."""

    key: str
    what: str
    call: Call
    write: Callable[[str], object]  # takes the run id
    starts: bool = False
    rows: list[dict[str, float]] | None = None


def take(records: deque[Record], join: Callable[[str, list[dict[str, float]]], Record]) -> Record:
    """Take the next record out; metrics of the same run that follow it join it, to spare requests.

    Only the order within a run matters, so the search for followers stops at the run's next other record.
    """
    record = records.popleft()
    if record.rows is None:
        return record
    rows, others, stop = list(record.rows), deque[Record](), False
    while records and len(rows) < MAX_ROWS_PER_CALL:
        follower = records.popleft()
        stop = stop or (follower.key == record.key and follower.rows is None)
        if follower.key == record.key and follower.rows is not None and not stop:
            rows.extend(follower.rows)
        else:
            others.append(follower)
    records.extendleft(reversed(others))
    return join(record.key, rows)


def is_refused(error: Exception) -> bool:
    """Whether a request will fail the same way for ever."""
    if isinstance(error, MlflowException):
        return error.error_code in REFUSED
    if isinstance(error, json.JSONDecodeError):  # of an answer: a proxy says in HTML that the server is away
        return False
    return isinstance(error, (HbtError, ValueError, TypeError, ImportError))


def first_line(error: Exception) -> str:
    """An error in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
