"""From the rows of a set to items: the few shapes in which such sets come."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hbt_ray.corpus.sources.source import Row, ToItems


def pairs(
    question: str,
    passage: str,
    *,
    id_: str = "",
    negative: str = "",
    keep: Callable[[Row], bool] = lambda row: True,
) -> ToItems:
    """A row is a question and its passage; `id_` empty numbers them, `negative` is a column with one text or a list."""

    def items(rows: Sequence[Row], first: int) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows, first):
            if keep(row):
                item = {"id": str(row[id_]) if id_ else str(number), "question": row[question], "passage": row[passage]}
                yield item | ({"negatives": _texts(row[negative])} if negative else {})

    return items


def judged(question: str, positives: str, negatives: str, *, id_: str) -> ToItems:
    """A row is a question with lists of passages `{title, text}`; each positive is an item with all the negatives."""

    def items(rows: Sequence[Row], first: int) -> Iterator[dict[str, Any]]:
        for row in rows:
            wrong = [_titled(passage) for passage in structs(row[negatives])]
            for number, passage in enumerate(structs(row[positives])):
                name = f"{row[id_]}" if number == 0 else f"{row[id_]}-{number}"
                yield {"id": name, "question": row[question], "passage": _titled(passage), "negatives": wrong}

    return items


def retrieved(question: str, passages: str, right: str) -> ToItems:
    """A row is a question with passages `{title, text}` in order of rank, `right` where they have the answer.

    The first that has it is the passage, those that have not are the negatives; a question without is left out.
    """

    def items(rows: Sequence[Row], first: int) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows, first):
            found = structs(row[passages])
            positives = [passage for passage in found if passage[right]]
            if positives:
                wrong = [_titled(passage) for passage in found if not passage[right]]
                item = {"id": str(number), "question": row[question], "passage": _titled(positives[0])}
                yield item | {"negatives": wrong}

    return items


def labelled(question: str, passage: str, label: str, *, id_: str) -> ToItems:
    """A row is a candidate with a label 0 or 1; rows of one `id_` follow each other, those of label 0 are negatives."""

    def items(rows: Sequence[Row], first: int) -> Iterator[dict[str, Any]]:
        for name, group in itertools.groupby(rows, lambda row: str(row[id_])):
            candidates = list(group)
            wrong = [row[passage] for row in candidates if not row[label]]
            right = [row for row in candidates if row[label]]
            for number, row in enumerate(right):
                item = {"id": name if number == 0 else f"{name}-{number}", "question": row[question]}
                yield item | {"passage": row[passage], "negatives": wrong}

    return items


def nested(column: str, question: str, answer: str, *, id_: str) -> ToItems:
    """A row is a page with a list of pairs."""

    def items(rows: Sequence[Row], first: int) -> Iterator[dict[str, Any]]:
        for row in rows:
            for number, pair in enumerate(structs(row[column])):
                yield {"id": f"{row[id_]}-{number}", "question": pair[question], "passage": pair[answer]}

    return items


def structs(value: Any) -> list[dict[str, Any]]:
    """A list of structs, which `datasets` gives as that or as a struct of lists."""
    if not isinstance(value, dict):
        return list(value)
    return [dict(zip(value, values, strict=True)) for values in zip(*value.values(), strict=True)]


def _texts(value: Any) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _titled(passage: Row) -> str:
    return " ".join(part for part in (passage.get("title", ""), passage["text"]) if part)
