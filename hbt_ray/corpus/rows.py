"""Checks on long-form rows: every row that cannot be used carries the name of its problem.

A row with a problem travels on without its texts, so that the problems of the whole corpus are counted in the
same pass that joins it, with one example each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hbt_ray.reading.columns import TEXTS, as_ids, as_langs, as_lists, as_texts

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "lang": pa.string(),
        "source": pa.string(),
        "question": pa.string(),
        "passage": pa.string(),
        "weight": pa.float32(),
        "negatives": TEXTS,
        "problem": pa.string(),
    }
)
NO_ID = "empty id"
NO_LANG = "empty language code"
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
    text = {name: pc.fill_null(as_texts(table[name]), "") for name in ("question", "passage")}
    ids = pc.fill_null(as_ids(table["id"]), "")
    source = as_texts(table["source"]) if "source" in table.column_names else pa.nulls(n, pa.string())
    source = pc.if_else(pc.equal(pc.fill_null(source, ""), ""), DEFAULT_SOURCE, source)
    lang, known = as_langs(table["lang"])
    lang_ok = pa.array(known)
    weight, weight_ok = _weights(table)
    problems = {
        BAD_WEIGHT: pc.invert(weight_ok),
        EMPTY_PASSAGE: pc.equal(text["passage"], ""),
        EMPTY_QUESTION: pc.equal(text["question"], ""),
        BAD_LANG: pc.invert(lang_ok),
        NO_LANG: pc.equal(lang, ""),
        NO_ID: pc.equal(ids, ""),
    }
    if langs:  # last, so that it wins: a row that nobody asked for cannot be wrong
        problems[NOT_SELECTED] = pc.and_(lang_ok, pc.invert(pc.is_in(lang, pa.array(langs, pa.string()))))
    problem = pa.nulls(n, pa.string())
    for name, bad in problems.items():
        problem = pc.if_else(bad, name, problem)
    good = pc.is_null(problem)
    columns = {
        "id": ids,
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
    lists = as_lists(table["negatives"])
    values = pc.utf8_trim_whitespace(pc.fill_null(pc.list_flatten(lists), ""))
    parents = pc.list_parent_indices(lists)
    keep = pc.and_(pc.not_equal(values, ""), pc.not_equal(values, passage.take(parents)))
    counts = np.bincount(parents.filter(keep).to_numpy(), minlength=table.num_rows)
    offsets = pa.array(np.r_[0, np.cumsum(counts)].astype(np.int32))
    return pa.ListArray.from_arrays(offsets, values.filter(keep), mask=pa.array(counts == 0))


def _weights(table: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Weights (1 if missing or unusable) and whether each is usable."""
    texts = as_texts(table["weight"]).to_pylist() if "weight" in table.column_names else [None] * table.num_rows
    values = np.array([_float(text) for text in texts], np.float32)
    ok = np.isfinite(values) & (values > 0)
    return pa.array(np.where(ok, values, np.float32(1))), pa.array(ok)


def _float(text: str | None) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return float("nan")
