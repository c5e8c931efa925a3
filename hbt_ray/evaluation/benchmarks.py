"""Retrieval sets by name: `KIND:DIRECTORY`, or `KIND:DIRECTORY?option=value&option=value`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.beir import load_beir
from hbt_ray.evaluation.chunks import Chunking
from hbt_ray.evaluation.lareqa import CandidateText, load_lareqa
from hbt_ray.evaluation.longform import load_longform
from hbt_ray.evaluation.miracl import load_miracl
from hbt_ray.evaluation.sets import RetrievalSet

Loader = Callable[[Path, Sequence[str] | None, Mapping[str, str]], RetrievalSet]
"""(directory, languages or None for all, options) -> the set."""

logger = logging.getLogger(__name__)


def load_set(name: str, langs: Sequence[str] = ()) -> RetrievalSet:
    """The set that `KIND:DIRECTORY` names, e.g. `xquad_r:/data/xquad_r/eval`, in `langs` (empty: all it has).

    Options follow a question mark: `beir:/data/scifact?split=train`, `longdoc:/data/mldr?words=300&overlap=60`.
    What was left out, cut or pooled to make the set is in its `notes`, and goes to the log as warnings.

    Raises:
        EvaluationError: unknown kind or option, or a directory that does not hold such a set.
    """
    kind, _, rest = name.partition(":")
    directory, _, query = rest.partition("?")
    if kind not in BENCHMARKS or not directory:
        raise EvaluationError(f"retrieval set {name!r} is not KIND:DIRECTORY with KIND one of {', '.join(BENCHMARKS)}")
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    unknown = [option for option in options if option not in OPTIONS.get(kind, ())]
    if unknown:
        allowed = ", ".join(OPTIONS.get(kind, ())) or "none"
        raise EvaluationError(f"retrieval set {name!r} has the option {unknown[0]!r}; {kind} takes {allowed}.")
    found = BENCHMARKS[kind](Path(directory), list(langs) or None, options)
    for note in found.notes:
        logger.warning("%s: %s", found.name, note)
    return found


def _lareqa(name: str, candidates: CandidateText = "sentence") -> Loader:
    return lambda directory, langs, options: load_lareqa(directory, langs, candidates, name)


def _longdoc(directory: Path, langs: Sequence[str] | None, options: Mapping[str, str]) -> RetrievalSet:
    fallback = Chunking()
    chunking = Chunking(
        words=_whole_number("words", options, fallback.words),
        overlap=_whole_number("overlap", options, fallback.overlap),
    )
    return load_beir(directory, langs, options.get("split", ""), chunking, "longdoc")


def _longdoc_truncate(directory: Path, langs: Sequence[str] | None, options: Mapping[str, str]) -> RetrievalSet:
    note = "documents are read from their beginning, to the encoder's limit of passage tokens; the rest is cut off."
    return load_beir(directory, langs, options.get("split", ""), name="longdoc_truncate", notes=(note,))


def _whole_number(option: str, options: Mapping[str, str], fallback: int) -> int:
    value = options.get(option, str(fallback))
    if not value.isdecimal():
        raise EvaluationError(f"option {option} of the retrieval set is {value!r}; give a whole number.")
    return int(value)


BENCHMARKS: dict[str, Loader] = {
    "xquad_r": _lareqa("xquad_r"),
    "mlqa_r": _lareqa("mlqa_r"),
    "xquad_r_context": _lareqa("xquad_r_context", "sentence_in_context"),
    "mlqa_r_context": _lareqa("mlqa_r_context", "sentence_in_context"),
    "beir": lambda directory, langs, options: load_beir(directory, langs, options.get("split", "")),
    "miracl": lambda directory, langs, options: load_miracl(directory, langs, options.get("split", "dev")),
    "longdoc": _longdoc,
    "longdoc_truncate": _longdoc_truncate,
    "parallel": lambda path, langs, options: load_longform(path, langs),
}
"""Kind -> loader; `_context` ranks each sentence with its paragraph, as LAReQA's own encoder read it. `beir` is of
one language or several; `longdoc` reads BEIR directories by windows of words, `longdoc_truncate` their beginnings;
`parallel` is a Parquet file in long form."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "beir": ("split",),
    "miracl": ("split",),
    "longdoc": ("split", "words", "overlap"),
    "longdoc_truncate": ("split",),
}
"""Kind -> the options it takes."""
