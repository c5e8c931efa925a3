"""A retrieval set made of parallel items, such as the held-out rows of a training corpus."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import IntArray
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


def parallel_set(
    name: str,
    langs: tuple[str, ...],
    has_lang: NDArray[np.bool_],
    passage_group: NDArray[np.int64] | None = None,
) -> RetrievalSet:
    """The set in which every item, in every language that it has, is both a query and a passage.

    `has_lang` [num_items, num_langs] says which languages an item has. Row i of the queries and row i of the
    passages are the same item in the same language: item `query_keys[i]` (= `passage_ids[i]`) in language
    `query_langs[i]` (= `passage_langs[i]`). Rows are ordered by language, then by item. The gold of a query
    is its item's passages in all languages. Texts are None: the caller holds them, or their tokens.

    `passage_group` [num_items, num_langs], int64, for instance a hash of the passage text: passages of one
    language with an equal value are one text, so all of them are relevant where one of them is. (Nothing is
    inferred across languages: the translations of those other items do not become relevant.)

    Raises EvaluationError for shapes that do not match, and when no item has any language.
    """
    has = np.asarray(has_lang, dtype=bool)
    if has.ndim != 2 or has.shape[1] != len(langs):
        raise EvaluationError(f"has_lang has shape {has.shape}, but needs (num_items, {len(langs)}).")
    if passage_group is not None and passage_group.shape != has.shape:
        raise EvaluationError(f"passage_group has shape {passage_group.shape}, but has_lang {has.shape}.")
    row_langs, row_items = np.nonzero(has.T)
    gold_items, gold_rows = _relevant_rows(has, row_langs, row_items, passage_group)
    order = np.lexsort((gold_rows, gold_items))
    item_offsets = np.concatenate(([0], np.cumsum(np.bincount(gold_items, minlength=len(has)))))
    # The gold depends on the item alone, so each query row copies its item's slice.
    counts = np.diff(item_offsets)[row_items]
    offsets = np.concatenate(([0], np.cumsum(counts)))
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    return RetrievalSet(
        name=name,
        langs=langs,
        query_langs=row_langs,
        query_keys=row_items,
        passage_langs=row_langs,
        passage_ids=row_items,
        gold_offsets=offsets,
        gold_passages=gold_rows[order][np.repeat(item_offsets[row_items], counts) + within],
    )


def _relevant_rows(
    has: NDArray[np.bool_], row_langs: IntArray, row_items: IntArray, passage_group: NDArray[Any] | None
) -> tuple[IntArray, IntArray]:
    """(item, passage row) of every relevance, each once, in no particular order."""
    if passage_group is None:
        return row_items, np.arange(len(row_items))
    items, rows = [], []
    for lang in range(has.shape[1]):
        members = np.flatnonzero(row_langs == lang)
        _, label = np.unique(passage_group[row_items[members], lang], return_inverse=True)
        by_label = members[np.argsort(label, kind="stable")]
        size = np.bincount(label)
        start = np.cumsum(size) - size
        counts = size[label]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        items.append(np.repeat(row_items[members], counts))
        rows.append(by_label[np.repeat(start[label], counts) + within])
    return np.concatenate(items), np.concatenate(rows)
