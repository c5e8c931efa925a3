"""Lines of the files that benchmarks come in (.jsonl, .tsv, each also .gz; Parquet), with errors that say where."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from hbt_ray.errors import CorpusError, EvaluationError
from hbt_ray.languages import canonical_lang, lang_hint
from hbt_ray.reading.columns import as_texts, id_of, lang_if_known, named_labels, text_of
from hbt_ray.reading.lines import json_lines, text_lines

HEADERS = ("score", "label", "relevance", "rel", "grade", "")
"""What the column of grades is called in a header of qrels."""
SHOWN = 5
"""Names that a message lists."""


Text = tuple[int, str, str, str]
"""Number of the line (or row, or entry) in its file, id, title, text."""


class Judgement(NamedTuple):
    """One line of qrels; relevant where the grade is above 0."""

    query: str
    passage: str
    grade: int


def lang_of(name: str, place: Path | str) -> str:
    """The canonical code of the language that `place` has in its name; EvaluationError where `name` is none."""
    try:
        return canonical_lang(name)
    except CorpusError as error:
        raise EvaluationError(f"{place}: {error}") from None


def known_langs(langs: Sequence[str]) -> tuple[str, ...]:
    """The canonical codes of the languages that were asked for, each once; what is no code stays as it is."""
    return tuple(dict.fromkeys(lang_if_known(lang)[0] for lang in langs))


def choose_langs(langs: Sequence[str] | None, have: Collection[str], lack: str) -> tuple[str, ...]:
    """`langs`, or all that there are, by canonical code.

    Raises EvaluationError, which begins with `lack`, where one is not there.
    """
    chosen = known_langs(langs) if langs else tuple(sorted(have))
    absent = [lang for lang in chosen if lang not in have]
    hints = "".join(f" ({hint})" for lang in absent if (hint := lang_hint(lang)))
    if absent or not chosen:
        raise EvaluationError(
            f"{lack} {first_names(absent) or 'any language'}; it has {', '.join(sorted(have)) or 'none'}{hints}."
        )
    return chosen


def find_file(directory: Path, *names: str) -> Path | None:
    """The first of `names`, each also with .gz, that is a file in `directory`."""
    paths = (directory / f"{name}{suffix}" for name in names for suffix in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def need_file(directory: Path, *names: str) -> Path:
    """`find_file`, or EvaluationError with what was looked for and what the directory holds."""
    if not directory.is_dir():
        raise EvaluationError(f"there is no directory {directory}; pass the one that holds {names[0]}[.gz].")
    path = find_file(directory, *names)
    if path is None:
        wanted = " or ".join(f"{name}[.gz]" for name in names)
        held = [path.name for path in sorted(directory.iterdir())]
        raise EvaluationError(f"{directory} has no {wanted}; it has {first_names(held) or 'nothing'}.")
    return path


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of every line that is not blank; EvaluationError if unreadable."""
    with _as_evaluation_error():
        yield from text_lines(str(path))


def read_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a JSON-lines file, or (row number from 1, row) of a Parquet file.

    Raises EvaluationError, naming file and line, where a line is no JSON object or its text is no Unicode.
    """
    with _as_evaluation_error():
        yield from read_parquet(path) if path.suffix == ".parquet" else json_lines(str(path))


def read_parquet(path: Path, columns: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number from 1, row) of a Parquet file, of `columns` alone where some are named; cells are texts or None.

    Raises EvaluationError for a file that is unreadable or lacks one of them.
    """
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            have = file.schema_arrow.names
            if missing := [name for name in columns if name not in have]:
                raise EvaluationError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(have)}.")
            for batch in file.iter_batches(batch_size=8192, columns=list(columns) or None):
                table = named_labels(pa.Table.from_batches([batch]))
                plain = [name for name in table.column_names if not pa.types.is_nested(table.schema.field(name).type)]
                for record in pa.table({name: as_texts(table[name]) for name in plain}).to_pylist():
                    number += 1
                    yield number, record
    except EvaluationError:
        raise
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path} is not a readable Parquet file ({error}); fetch it again.") from error


def read_texts(path: Path, id_key: str = "_id", text_key: str = "text") -> Iterator[Text]:
    """The text of each record; a title or an id that is missing is empty.

    Raises EvaluationError, naming file and line, where a record has no `id_key` and `text_key`.
    """
    for number, record in read_records(path):
        values = [record.get(key) for key in (id_key, "title", text_key)]
        if not {id_key, text_key} <= set(record) or any(isinstance(value, list | dict) for value in values):
            raise EvaluationError(
                f"{path} line {number} needs the keys {id_key!r} and {text_key!r} (a string); "
                f"it has {first_names(sorted(record)) or 'none'}."
            )
        yield number, id_of(values[0]), text_of(values[1]) or "", text_of(values[2]) or ""


def read_passages(path: Path, id_key: str = "_id") -> Iterator[Text]:
    """`read_texts`, without blanks around titles and texts."""
    for number, name, title, text in read_texts(path, id_key):
        yield number, name, title.strip(), text.strip()


def read_tsv_texts(path: Path) -> Iterator[Text]:
    """The texts of a file of id, tab, text; EvaluationError for a line without a tab."""
    for number, line in lines(path):
        name, tab, text = line.partition("\t")
        if not tab:
            raise EvaluationError(f"{path} line {number} is {line[:60]!r}, but needs an id, a tab and a text.")
        yield number, id_of(name), "", text


def read_beir_qrels(path: Path) -> Iterator[Judgement]:
    """query-id, corpus-id and score by tabs, below a header (which may be missing)."""
    for row, (number, line) in enumerate(lines(path)):
        fields = line.split("\t")
        if not row and len(fields) == 3 and fields[2].strip().lower() in HEADERS:
            continue
        yield _judgement(path, number, fields, (0, 1, 2), "query-id, corpus-id and score by tabs")


def read_trec_qrels(path: Path) -> Iterator[Judgement]:
    """query, an unused field, document and grade by white space."""
    for number, line in lines(path):
        yield _judgement(path, number, line.split(), (0, 2, 3), "query, Q0, document and grade")


def first_names(names: Sequence[str]) -> str:
    """The first five of `names`, and how many there are."""
    return ", ".join(names[:SHOWN]) + (f", ... ({len(names)} in all)" if len(names) > SHOWN else "")


@contextmanager
def _as_evaluation_error() -> Iterator[None]:
    try:
        yield
    except CorpusError as error:
        raise EvaluationError(str(error)) from None


def _judgement(path: Path, number: int, fields: Sequence[str], places: tuple[int, int, int], want: str) -> Judgement:
    query, passage, grade = places
    try:
        if len(fields) != grade + 1:
            raise ValueError
        return Judgement(id_of(fields[query]), id_of(fields[passage]), int(id_of(fields[grade])))  # 1.0 is 1
    except ValueError:
        shown = " ".join(fields)[:60]
        raise EvaluationError(f"{path} line {number} is {shown!r}, but needs {want} (an integer).") from None
