"""Lines of the files that benchmarks come in (.jsonl, .tsv, each also .gz), with errors that say where."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hbt_ray.errors import EvaluationError

SHOWN = 5
"""Names that a message lists."""


class Judgement(NamedTuple):
    """One line of qrels; relevant where the grade is above 0."""

    query: str
    passage: str
    grade: int


def find_file(directory: Path, *names: str) -> Path | None:
    """The first of `names`, each also with .gz, that is a file in `directory`."""
    paths = (directory / f"{name}{suffix}" for name in names for suffix in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def need_file(directory: Path, *names: str) -> Path:
    """`find_file`, or EvaluationError with what was looked for and what the directory holds."""
    if not directory.is_dir():
        raise EvaluationError(f"there is no directory {directory}; pass the one that holds {names[0]}[.gz].")
    found = find_file(directory, *names)
    if found is None:
        wanted = " or ".join(f"{name}[.gz]" for name in names)
        held = [path.name for path in sorted(directory.iterdir())]
        raise EvaluationError(f"{directory} has no {wanted}; it has {listed(held) or 'nothing'}.")
    return found


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of every line that is not blank; EvaluationError if unreadable."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} is not readable ({error}); fetch it again.") from error


def read_texts(path: Path, id_key: str = "_id") -> Iterator[tuple[int, str, str, str]]:
    """(line number, id, title, text) of a JSON-lines file; the title may be missing, then it is empty.

    Raises EvaluationError, naming file and line, where a line is no JSON object with `id_key` and "text".
    """
    for number, line in lines(path):
        try:
            record: Any = json.loads(line)
        except ValueError as error:
            raise EvaluationError(f"{path} line {number} is not JSON ({error}); fetch the file again.") from error
        if not isinstance(record, dict) or id_key not in record or not isinstance(record.get("text"), str):
            raise EvaluationError(f"{path} line {number} needs the keys {id_key!r} and 'text' (a string).")
        yield number, str(record[id_key]), str(record.get("title") or ""), record["text"]


def read_tsv_texts(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line number, id, text) of a file of id, tab, text; EvaluationError for a line without a tab."""
    for number, line in lines(path):
        name, tab, text = line.partition("\t")
        if not tab:
            raise EvaluationError(f"{path} line {number} is {line[:60]!r}, but needs an id, a tab and a text.")
        yield number, name, text


def read_beir_qrels(path: Path) -> Iterator[Judgement]:
    """query-id, corpus-id and score by tabs, below a header (which may be missing)."""
    for number, line in lines(path):
        fields = line.split("\t")
        if number == 1 and fields[0].strip().lower() in ("query-id", "query_id", "qid"):
            continue
        yield _judgement(path, number, fields, (0, 1, 2), "query-id, corpus-id and score by tabs")


def read_trec_qrels(path: Path) -> Iterator[Judgement]:
    """query, an unused field, document and grade by white space."""
    for number, line in lines(path):
        yield _judgement(path, number, line.split(), (0, 2, 3), "query, Q0, document and grade")


def _judgement(path: Path, number: int, fields: Sequence[str], places: tuple[int, int, int], want: str) -> Judgement:
    query, passage, grade = places
    try:
        if len(fields) != grade + 1:
            raise ValueError
        return Judgement(fields[query].strip(), fields[passage].strip(), int(fields[grade]))
    except ValueError:
        shown = " ".join(fields)[:60]
        raise EvaluationError(f"{path} line {number} is {shown!r}, but needs {want} (an integer).") from None


def listed(names: Sequence[str]) -> str:
    """The first five of `names`, and how many there are."""
    return ", ".join(names[:SHOWN]) + (f", ... ({len(names)} in all)" if len(names) > SHOWN else "")
