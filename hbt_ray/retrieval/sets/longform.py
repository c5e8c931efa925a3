"""A parallel set in long form: Parquet rows of id, lang, question and passage, in any number of languages."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.lines import listed
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

COLUMNS = ("id", "lang", "question", "passage")


def load_longform(path: str | Path, langs: Sequence[str] | None = None, name: str = "parallel") -> RetrievalSet:
    """Load a Parquet file, or all `*.parquet` of a directory, as the set question -> passage.

    A row is one item in one language. A question is answered by its item's passage in every language, and by
    passages of its languages with the same text as one of these. `langs` chooses and orders the languages;
    None takes all, by code. Rows without a question or a passage are left out and counted in the notes.

    Raises EvaluationError for a missing or unreadable file, missing columns or languages, and an id that comes
    twice in a language.
    """
    ids, codes, questions, passages = _read(Path(path))
    whole = np.array([bool(q and q.strip() and p and p.strip()) for q, p in zip(questions, passages, strict=True)])
    have = sorted(set(codes))
    chosen = tuple(langs) if langs else tuple(have)
    absent = [lang for lang in chosen if lang not in have]
    if absent:
        raise EvaluationError(f"{path} has no rows in {listed(absent)}; it has {', '.join(have)}.")
    number = {lang: at for at, lang in enumerate(chosen)}
    items = {item: at for at, item in enumerate(dict.fromkeys(ids))}
    rows = [at for at, code in enumerate(codes) if code in number]
    kept = [at for at in rows if whole[at]]
    row_of = np.full((len(items), len(chosen)), -1)
    for at in kept:
        cell = items[ids[at]], number[codes[at]]
        if row_of[cell] >= 0:
            raise EvaluationError(f"{path} has id {ids[at]} twice in {codes[at]}; keep one row of each.")
        row_of[cell] = at
    _, text_number = np.unique(
        np.array([passages[at] or "" for at in range(len(ids))], dtype=object), return_inverse=True
    )
    rs = parallel_set(name, chosen, row_of >= 0, text_number[row_of])
    order = row_of[rs.query_keys, rs.query_langs]
    keys = np.array(list(items))[rs.query_keys]
    blank = [ids[at] for at in rows if not whole[at]]
    left_out = f"{len(blank)} rows have no question or no passage and are left out: {listed(blank)}."
    return replace(
        rs,
        query_keys=keys,
        passage_ids=keys,
        queries=[questions[at] for at in order],
        passages=[passages[at] for at in order],
        notes=(left_out,) if blank else (),
    )


def _read(path: Path) -> tuple[list[str], ...]:
    """The four columns, as lists of all rows."""
    import pyarrow.parquet as pq

    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise EvaluationError(f"there is no Parquet file at {path}; pass a file, or a directory of *.parquet.")
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    for file in files:
        try:
            names = pq.read_schema(file).names
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise EvaluationError(f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(names)}.")
            table = pq.read_table(file, columns=list(COLUMNS))
        except (OSError, ValueError) as error:
            if isinstance(error, EvaluationError):
                raise
            raise EvaluationError(f"{file} is not a readable Parquet file ({error}); fetch it again.") from error
        for name, values in columns.items():
            found = table[name].to_pylist()
            values += [str(value) for value in found] if name in ("id", "lang") else found
    return tuple(columns.values())
