"""Errors from remote tasks as the errors they were."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from hbt_ray import errors


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise an `HbtError` of a remote task as itself, on one line, instead of Ray's tracebacks within tracebacks."""
    try:
        yield
    except errors.HbtError:
        raise
    except Exception as error:
        found = find_cause(error)
        if found is None:
            raise
        raise found from None


def find_cause(error: BaseException | None) -> errors.HbtError | None:
    """The `HbtError` inside a chain of causes, also where Ray kept nothing of it but its text."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if type(error).__module__ == errors.__name__ and isinstance(error, errors.HbtError):
            return error
        if match := re.search(r"hbt_ray\.errors\.(\w+Error): (.+)", str(error)):
            kind = getattr(errors, match[1], None)
            if kind is not None:
                found: errors.HbtError = kind(match[2].strip())
                return found
        error = getattr(error, "cause", None) or error.__cause__ or error.__context__
    return None


def first_error(text: str) -> str:
    """Of a stack of errors, in which a cause stands before what it caused, the line of the first one."""
    named = re.findall(r"^[\w.]*(?:Error|Exception): .+$", text, flags=re.MULTILINE)
    return " ".join((named[0] if named else text).split())[:200]
