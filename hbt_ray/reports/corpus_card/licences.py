"""Under what terms the sources of a corpus are: `licences.json` beside the input, or the entry of a named source."""

from __future__ import annotations

from collections.abc import Mapping

from hbt_ray.corpus.beside import stated_licences
from hbt_ray.corpus.sources import SOURCES
from hbt_ray.reports.corpus_card.card import SourceRow

NOT_STATED = "not stated"


def source_rows(location: str, items: Mapping[str, int]) -> tuple[SourceRow, ...]:
    """The sources of the input `location` with their items, largest first."""
    stated = stated_licences(location)
    rows = []
    for source, num in sorted(items.items(), key=lambda pair: (-pair[1], pair[0])):
        entry = SOURCES.get(source)
        licence = stated.get(source) or (entry.licence if entry else NOT_STATED)
        rows.append(SourceRow(source=source, items=num, licence=licence, citation=entry.citation if entry else ""))
    return tuple(rows)
