"""The errors that users can meet; every message names the field or file, its value and what to do next."""

from collections.abc import Iterator
from contextlib import contextmanager

MAX_CHARS = 300
"""Characters of another library's error that a message quotes: enough for its cause, not for its traceback."""


class HbtError(Exception):
    """Base of the project's own errors; the jobs print its message on one line and exit with status 2."""


class ConfigError(HbtError, ValueError):
    """A recipe field has a value that cannot be used."""


class CorpusError(HbtError, ValueError):
    """Input data or a prepared corpus is missing, malformed or does not match its manifest."""


class UnreadableError(CorpusError):
    """A file of the input could not be read, though it may be in order: a time-out, a lost connection."""


class PlanError(HbtError, ValueError):
    """The corpus cannot supply the batches that the recipe asks for."""


class EvaluationError(HbtError, ValueError):
    """A retrieval set or a model under evaluation is missing or malformed."""


class TrainingError(HbtError, RuntimeError):
    """The training itself cannot go on, and no restart mends it."""


class ClusterError(HbtError, RuntimeError):
    """Ray, its resources or the tracking server are not in a state in which the job could succeed."""


def one_line(error: BaseException | str, limit: int = MAX_CHARS) -> str:
    """An error's own words on one line of at most `limit` characters; its type where it has none."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= limit else words[: limit - 3] + "..."


@contextmanager
def asked_by(field: str) -> Iterator[None]:
    """Errors of the block name the field of the recipe, or the option, that asked for what fails."""
    try:
        yield
    except HbtError as error:
        if field.partition("=")[0] in str(error):
            raise
        raise type(error)(f"{field}: {error}") from None
