"""What a directory looks like, to tell a user who has passed one of another benchmark."""

from collections.abc import Callable, Iterator
from pathlib import Path

from hbt_ray.errors import EvaluationError


def check_form(kind: str, form: str, directory: Path) -> None:
    """EvaluationError if `directory` is not in `form`, but looks like another one, or holds one that is.

    A directory that looks like nothing known passes: the reader of `kind` says best what it lacks.
    """
    if not directory.is_dir() or FORMS[form](directory):
        return
    other = next((name for name, looks in FORMS.items() if looks(directory)), None)
    if other is not None:
        raise EvaluationError(
            f"{directory} is no directory for {kind}, but looks like {other}; try {other}:{directory}."
        )
    inner = next((path for path in sorted(directory.iterdir()) if path.is_dir() and FORMS[form](path)), None)
    if inner is not None:
        raise EvaluationError(f"{directory} is no directory for {kind}, but {inner.name} in it is; pass {inner}.")


def _is_beir(directory: Path) -> bool:
    return _any(directory, "corpus*.jsonl*", "corpus/*.parquet") and _any(directory, "queries*", "qrels/*.tsv*")


def _is_miracl(directory: Path) -> bool:
    return _any(directory, "*/topics.*.tsv*", "miracl-v*/topics/topics.*.tsv*", "miracl-corpus-v*/docs-*.jsonl*")


def _is_mldr(directory: Path) -> bool:
    languages = {path.parent for path in directory.glob("*/corpus.jsonl*")}
    return any(_any(folder, "train.jsonl*", "dev.jsonl*", "test.jsonl*") for folder in languages)


def _is_lareqa(directory: Path) -> bool:
    return _any(directory, "??.json", "??.json.gz")


def _is_parallel(directory: Path) -> bool:
    return _any(directory, "*.parquet")


def _any(directory: Path, *patterns: str) -> bool:
    def found() -> Iterator[Path]:
        for pattern in patterns:
            yield from directory.glob(pattern)

    return next(found(), None) is not None


FORMS: dict[str, Callable[[Path], bool]] = {
    "beir": _is_beir,
    "miracl": _is_miracl,
    "mldr": _is_mldr,
    "xquad_r": _is_lareqa,
    "parallel": _is_parallel,
}
"""Form, called by its first kind -> whether a directory looks like it; no directory is read beyond names."""
