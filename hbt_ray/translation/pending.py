"""Rows of a corpus: chunks of a unit, which of them are to be translated, and the rows they become."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hbt_ray.corpus.rows import check_rows
from hbt_ray.corpus.shards import text_hash

if TYPE_CHECKING:
    from hbt_ray.translation.translator import Translator

HashArray = NDArray[np.uint64]
"""Hashes of item ids, [n], rising."""
ROLES = ("question", "passage")


@dataclass(frozen=True)
class ShardStats:
    """Counts of a shard of translated rows, kept in the shard itself."""

    num_rows: int
    num_tokens: int = 0
    """Source tokens that the model read."""
    num_new_tokens: int = 0
    num_cut: int = 0
    """Sentences whose output ran to the limit of its length."""
    num_empty: int = 0
    """Rows that are left out because the model wrote nothing for the question or the passage."""
    seconds: float = 0.0
    device: str = ""


def chunks(tables: Iterable[pa.Table], num_rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `num_rows` rows each, the last one the rest."""
    waiting: list[pa.Table] = []
    have = 0
    for table in tables:
        waiting.append(table)
        have += table.num_rows
        if have >= num_rows:
            whole = pa.concat_tables(waiting)
            ready = have - have % num_rows
            for start in range(0, ready, num_rows):
                yield whole.slice(start, num_rows)
            waiting, have = [whole.slice(ready)], have - ready
    if have:
        yield pa.concat_tables(waiting)


def to_translate(table: pa.Table, source_lang: str) -> pa.Table:
    """The usable rows in `source_lang`."""
    checked = check_rows(table)
    return table.filter(pc.and_(pc.is_null(checked["problem"]), pc.equal(checked["lang"], source_lang)))


def without(rows: pa.Table, known: HashArray) -> pa.Table:
    """The rows whose item is not `known` in the target language."""
    return rows.filter(pa.array(~np.isin(id_hashes(pc.utf8_trim_whitespace(rows["id"].cast(pa.string()))), known)))


def id_hashes(ids: pa.ChunkedArray) -> HashArray:
    """64-bit hashes of ids, in their order."""
    return np.array([text_hash(id_) for id_ in ids.to_pylist()], np.uint64)


def rows_digest(table: pa.Table) -> str:
    """Identifies the rows with all their columns."""
    digest = hashlib.sha256()
    for row in table.to_pylist():
        digest.update(json.dumps(row, default=str).encode())
    return digest.hexdigest()


def digest_of(*made_from: str) -> str:
    """16 hex digits that identify what something is made from."""
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def num_chars(table: pa.Table, negatives: bool) -> int:
    """Characters of the texts of rows that are translated."""
    columns = [table[role].cast(pa.string()) for role in ROLES]
    if negatives and "negatives" in table.column_names:
        columns.append(pc.list_flatten(table["negatives"]))
    return sum(pc.sum(pc.utf8_length(column)).as_py() or 0 for column in columns)


def translate_rows(
    table: pa.Table, translator: Translator, lang: str, *, source_lang: str, name: str, negatives: bool
) -> tuple[pa.Table, ShardStats]:
    """The rows in `lang`; id, source and weight stay.

    Args:
        table: rows in `source_lang` (`to_translate`).
        translator: of a model that has both languages.
        lang: canonical tag to translate to.
        source_lang: goes to the column `translated_from`.
        name: of engine and model, goes to `translator`.
        negatives: translate `negatives`; else the rows have none.
    """
    texts = {role: [text.strip() for text in table[role].cast(pa.string()).to_pylist()] for role in ROLES}
    lists: list[list[str] | None] = table["negatives"].to_pylist() if "negatives" in table.column_names else []
    flat = [text or "" for row in lists for text in row or ()] if negatives else []
    done = translator([*texts["question"], *texts["passage"], *flat], lang)
    n = table.num_rows
    question, passage, rest = done.texts[:n], done.texts[n : 2 * n], done.texts[2 * n :]
    cut = np.array(done.cut[:n]) + np.array(done.cut[n : 2 * n])
    columns: dict[str, Any] = {column: table[column] for column in table.column_names}
    columns |= {
        "lang": pa.array([lang] * n, pa.string()),
        "question": pa.array(question, pa.string()),
        "passage": pa.array(passage, pa.string()),
    }
    if lists:
        columns["negatives"] = _negatives(lists, rest if negatives else None)
    columns |= {
        "translated_from": pa.array([source_lang] * n, pa.string()),
        "translator": pa.array([name] * n, pa.string()),
        "num_cut": pa.array(cut, pa.int32()),
    }
    full = np.array([bool(q and p) for q, p in zip(question, passage, strict=True)], bool)
    out = pa.table(columns).filter(pa.array(full))
    stats = ShardStats(
        num_rows=out.num_rows,
        num_tokens=done.num_tokens,
        num_new_tokens=done.num_new_tokens,
        num_cut=sum(done.cut),
        num_empty=int((~full).sum()),
    )
    return out, stats


def _negatives(lists: list[list[str] | None], texts: list[str] | None) -> pa.Array:
    """Lists of the same lengths with the translated texts, less empty ones; nulls where there are none."""
    left = iter(texts or ())
    out = [
        None if row is None or texts is None else [text for text in (next(left) for _ in row) if text] for row in lists
    ]
    return pa.array(out, pa.list_(pa.string()))
