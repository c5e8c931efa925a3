"""The sets by name."""

from __future__ import annotations

from hbt_ray.corpus.sources.answers import MFAQ, NATURAL_QUESTIONS, WIKIQA, YAHOO_QA
from hbt_ray.corpus.sources.retrieval import ENTITY_QUESTIONS, MMARCO, MR_TYDI
from hbt_ray.corpus.sources.source import Source
from hbt_ray.corpus.sources.squad import DUORC, NEWSQA, SQUAD, SQUAD_V2

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        SQUAD,
        SQUAD_V2,
        NATURAL_QUESTIONS,
        NEWSQA,
        WIKIQA,
        DUORC,
        YAHOO_QA,
        ENTITY_QUESTIONS,
        MFAQ,
        MR_TYDI,
        MMARCO,
    )
}
"""Name -> entry; to add a set, write an entry and name it here."""
