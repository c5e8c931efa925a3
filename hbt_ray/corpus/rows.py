"""Checks on long-form rows: every row that cannot be used carries the name of its problem.

A row with a problem travels on without its texts, so that the problems of the whole corpus are counted in the
same pass that joins it, with one example each.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hbt_ray.errors import CorpusError
from hbt_ray.languages import canonical_lang

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "lang": pa.string(),
        "source": pa.string(),
        "question": pa.string(),
        "passage": pa.string(),
        "weight": pa.float32(),
        "negatives": pa.list_(pa.string()),
        "problem": pa.string(),
    }
)
NO_ID = "empty id"
BAD_LANG = "unknown language code"
EMPTY_QUESTION = "empty question"
EMPTY_PASSAGE = "empty passage"
BAD_WEIGHT = "weight is not a positive number"
DUPLICATE = "duplicate (id, lang)"
TWO_SOURCES = "id with more than one source"
NOT_SELECTED = "language not in corpus.langs"
DEFAULT_SOURCE = "corpus"


def check_rows(table: pa.Table, langs: Sequence[str] = ()) -> pa.Table:
    """`table` in `SCHEMA`: texts stripped, codes canonical, `problem` null where the row is good.

    Hard negatives that are empty, or the row's own passage, are left out of `negatives`. Rows in languages other than
    `langs` (canonical codes; empty is all) have that as their problem.
    """
    n = table.num_rows
    text = {name: _stripped(table[name]) for name in ("id", "lang", "question", "passage")}
    source = _stripped(table["source"]) if "source" in table.column_names else pa.nulls(n, pa.string())
    source = pc.if_else(pc.equal(pc.fill_null(source, ""), ""), DEFAULT_SOURCE, source)
    lang, lang_ok = _canonical(text["lang"])
    weight, weight_ok = _weights(table)
    problems = {
        BAD_WEIGHT: pc.invert(weight_ok),
        EMPTY_PASSAGE: pc.equal(text["passage"], ""),
        EMPTY_QUESTION: pc.equal(text["question"], ""),
        BAD_LANG: pc.invert(lang_ok),
        NO_ID: pc.equal(text["id"], ""),
    }
    if langs:  # last, so that it wins: a row that nobody asked for cannot be wrong
        problems[NOT_SELECTED] = pc.and_(lang_ok, pc.invert(pc.is_in(lang, pa.array(langs, pa.string()))))
    problem = pa.nulls(n, pa.string())
    for name, bad in problems.items():
        problem = pc.if_else(bad, name, problem)
    good = pc.is_null(problem)
    columns = {
        "id": text["id"],
        "lang": lang,
        "source": source,
        "question": pc.if_else(good, text["question"], None),
        "passage": pc.if_else(good, text["passage"], None),
        "weight": weight,
        "negatives": pc.if_else(good, _negatives(table, text["passage"]), None),
        "problem": problem,
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _negatives(table: pa.Table, passage: pa.Array) -> pa.Array:
    """list<string> [n]: the texts stripped; null where a row has none."""
    kind = SCHEMA.field("negatives").type
    if "negatives" not in table.column_names:
        return pa.nulls(table.num_rows, kind)
    lists = table["negatives"].cast(kind).combine_chunks()
    values = pc.utf8_trim_whitespace(pc.fill_null(pc.list_flatten(lists), ""))
    parents = pc.list_parent_indices(lists)
    keep = pc.and_(pc.not_equal(values, ""), pc.not_equal(values, passage.take(parents)))
    counts = np.bincount(parents.filter(keep).to_numpy(), minlength=table.num_rows)
    offsets = pa.array(np.r_[0, np.cumsum(counts)].astype(np.int32))
    return pa.ListArray.from_arrays(offsets, values.filter(keep), mask=pa.array(counts == 0))


def _stripped(column: pa.ChunkedArray) -> pa.Array:
    text = pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


def _canonical(codes: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Canonical codes (the raw one if unknown) and whether each is known."""
    encoded = codes.dictionary_encode()
    canonical, known = encoded.dictionary.to_pylist(), []
    for number, code in enumerate(canonical):
        with suppress(CorpusError):
            canonical[number] = canonical_lang(code)
            known.append(number)
    is_known = pc.is_in(encoded.indices, pa.array(known, encoded.indices.type))
    return pa.array(canonical, pa.string()).take(encoded.indices), is_known


def _weights(table: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Weights (1 if missing or unusable) and whether each is usable."""
    texts = table["weight"].to_pylist() if "weight" in table.column_names else [None] * table.num_rows
    values = np.array([_float(value) for value in texts], np.float32)
    ok = np.isfinite(values) & (values > 0)
    return pa.array(np.where(ok, values, np.float32(1))), pa.array(ok)


def _float(value: object) -> float:
    try:
        return 1.0 if value is None else float(str(value))
    except ValueError:
        return float("nan")
