"""Retrieval sets by name: `KIND:DIRECTORY`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.lareqa import CandidateText, load_lareqa
from hbt_ray.evaluation.sets import RetrievalSet

Loader = Callable[[Path, Sequence[str] | None], RetrievalSet]


def load_set(name: str, langs: Sequence[str] = ()) -> RetrievalSet:
    """The set that `KIND:DIRECTORY` names, e.g. `xquad_r:/data/xquad_r/eval`, in `langs` (empty: all it has).

    Raises:
        EvaluationError: unknown kind, or a directory that does not hold such a set.
    """
    kind, _, directory = name.partition(":")
    if kind not in BENCHMARKS or not directory:
        raise EvaluationError(f"retrieval set {name!r} is not KIND:DIRECTORY with KIND one of {', '.join(BENCHMARKS)}")
    return BENCHMARKS[kind](Path(directory), list(langs) or None)


def _lareqa(name: str, candidates: CandidateText = "sentence") -> Loader:
    return lambda directory, langs: load_lareqa(directory, langs, candidates, name)


BENCHMARKS: dict[str, Loader] = {
    "xquad_r": _lareqa("xquad_r"),
    "mlqa_r": _lareqa("mlqa_r"),
    "xquad_r_context": _lareqa("xquad_r_context", "sentence_in_context"),
    "mlqa_r_context": _lareqa("mlqa_r_context", "sentence_in_context"),
}
"""Kind -> loader; `_context` ranks each sentence with its paragraph, as LAReQA's own encoder read it."""
