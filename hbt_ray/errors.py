"""The errors that users can meet; every message names the field or file, its value and what to do next."""


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


class ClusterError(HbtError, RuntimeError):
    """Ray, its resources or the tracking server are not in a state in which the job could succeed."""
