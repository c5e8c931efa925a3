"""Which items the sample has, and which of them are dev.

The split is by entity. A territory's items are all train or all dev, and no train item pairs a dev territory
with another. A combination (a weekday in a month, two languages, ...) is an entity of its own: its parts recur
in train, the combination itself does not.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Final

from hbt_ray.corpus.sample.combinations import (
    calendar_items,
    city_time_items,
    language_pair_items,
    territory_pair_items,
    unit_items,
)
from hbt_ray.corpus.sample.facts import REGION_OF_TERRITORY
from hbt_ray.corpus.sample.items import SampleItem
from hbt_ray.corpus.sample.render import render, stable_hash
from hbt_ray.corpus.sample.templates import PHRASINGS
from hbt_ray.corpus.sample.terms import MissingName
from hbt_ray.corpus.sample.territories import territory_items

Rows = dict[str, dict[str, str]]
"""The rows of one item, by language."""

_NUM_DEV_TERRITORIES: Final = 24
_NUM_DEV_COMBINATIONS: Final = 36
"""Of each kind of combination."""
_MAX_COMBINATIONS: Final = 750
"""Of each kind: there are thousands of pairs, and a few hundred are enough to learn their parts from."""


@cache
def sample_rows() -> tuple[tuple[Rows, ...], frozenset[str]]:
    """The rows of every item in every language, and the ids of the dev items.

    Items that CLDR cannot name in all the languages, or whose question or passage another item already has in
    some language, are left out, so the answer is the same whichever languages are written.
    """
    territories = sorted(REGION_OF_TERRITORY, key=lambda code: stable_hash(f"territory:{code}"))
    dev_territories = {f"territory:{code}" for code in territories[:_NUM_DEV_TERRITORIES]}
    unique = _Unique()

    singles = unique.rows(territory_items())
    dev_ids = {item.item_id for item, _ in singles if item.entity in dev_territories}
    chosen = [rows for _, rows in singles]
    for items in (
        territory_pair_items(territories[_NUM_DEV_TERRITORIES:]),
        language_pair_items(),
        calendar_items(),
        city_time_items(),
        unit_items(),
    ):
        # In the order of a hash, so that the ones taken and the dev ones are spread over all the parts.
        shuffled = sorted(items, key=lambda item: stable_hash(item.entity))[:_MAX_COMBINATIONS]
        combined = unique.rows(shuffled)
        dev_ids.update(item.item_id for item, _ in combined[:_NUM_DEV_COMBINATIONS])
        chosen.extend(rows for _, rows in combined)
    return tuple(sorted(chosen, key=lambda rows: rows["en"]["id"])), frozenset(dev_ids)


class _Unique:
    """Renders items in all languages and passes on those that are complete and not to be confused."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str]] = Counter()

    def rows(self, items: Iterable[SampleItem]) -> list[tuple[SampleItem, Rows]]:
        passed = []
        for item in items:
            try:
                rows = {lang: render(item, lang) for lang in PHRASINGS}
            except MissingName:
                continue
            texts = [(lang, row[field]) for lang, row in rows.items() for field in ("question", "passage")]
            if any(self._seen[text] for text in texts):
                continue
            self._seen.update(texts)
            passed.append((item, rows))
        return passed
