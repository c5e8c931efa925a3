"""What an entry says of a public set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""A row as the set has it."""
ToItems = Callable[[Sequence[Row], int], Iterator[dict[str, Any]]]
"""(rows that follow each other, number of the first in its split) -> `id`, `question`, `passage` and, where the set has
them, `negatives` of each item; an id is unique in its configuration (see `Source.parallel`)."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public set: where it is, how its rows become items, and what one must know to use it."""

    name: str
    """As in `source:NAME`; it is also the `source` of its rows."""
    hub: str
    """Data set of the Hugging Face hub; empty where the hub has none and a directory must be given."""
    configs: Mapping[str, str]
    """Language (canonical code) -> configuration of the data set that holds it."""
    split: str = "train"
    """The split that is read unless an option says another."""
    revision: str | None = None
    """Of the data set; `datasets` runs no scripts any more, so sets with one are read as the hub converted them."""
    items: ToItems
    """How rows become items."""
    parallel: bool = False
    """Whether an id is the same item in each language: one that is translated. Else languages have ids of their own."""
    whole: bool = False
    """Whether items are spread over rows that follow each other, so that the set is read as one unit."""
    licence: str
    """As the set states it."""
    citation: str
    """Where it is described."""
    unverified: str = ""
    """What could not be checked against the set itself or its documentation."""
