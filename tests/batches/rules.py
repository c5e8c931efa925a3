"""What each entry of `PAIRINGS` promises of an X-Y step, by the languages of the items alone: the tests' oracle."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ANCHOR = "ar"
"""In every index of the tests, as its first language."""


def ordered_pairs(langs):
    return set(itertools.permutations(langs, 2))


PARTITION = (("ar", "hi", "zh"), ("de", "en", "th"))
CLUSTER = np.array([0, 1, 1, 0, 1, 0])
"""The cluster of each of the tests' languages."""


def pairs_of_kind(langs, within):
    return {(a, b) for a, b in ordered_pairs(langs) if (CLUSTER[a] == CLUSTER[b]) == within}


@dataclass(frozen=True)
class Rule:
    """Of one pairing.

    Attributes:
        pairs: (languages of an item, the plan's config) -> every ordered pair that its rows may have; without one the
            item is in no batch.
        whole_batch: whether all rows of a batch have the same pair.
    """

    pairs: Callable
    whole_batch: bool = False


RULES = {
    "mixed": Rule(lambda langs, config: ordered_pairs(langs)),
    "single": Rule(lambda langs, config: ordered_pairs(langs), whole_batch=True),
    "anchored": Rule(lambda langs, config: {pair for pair in ordered_pairs(langs) if 0 in pair}),
    "any": Rule(lambda langs, config: set(itertools.product(langs, langs))),
    "multiway": Rule(lambda langs, config: ordered_pairs(langs) if len(langs) >= config["ways"] else set()),
    "clusters": Rule(lambda langs, config: ordered_pairs(langs)),
}


def item_pairs(has, config):
    """Of each item of `has` [n, num_langs] the pairs that its X-Y rows may have."""
    rule = RULES[config["pairs"]]
    return [rule.pairs(np.flatnonzero(row).tolist(), config) for row in has]


def can_supply(has, config):
    """Whether X-Y batches can be made at all."""
    pairs = item_pairs(has, config)
    num = config["batch_size"] // (config["ways"] if config["pairs"] == "multiway" else 1)
    if RULES[config["pairs"]].whole_batch:
        counts = [sum(pair in of_item for of_item in pairs) for pair in ordered_pairs(range(has.shape[1]))]
        return max(counts, default=0) >= num
    if config["pairs"] == "clusters":  # both kinds of step have to be there
        langs = [np.flatnonzero(row).tolist() for row in has]
        return all(sum(bool(pairs_of_kind(row, kind)) for row in langs) >= num for kind in (True, False))
    return sum(map(bool, pairs)) >= num


def check_step(step, has, config):
    """An X-Y step is as its pairing defines it."""
    pairs = item_pairs(has[step.items], config)
    drawn = list(zip(step.query_langs.tolist(), step.passage_langs.tolist(), strict=True))
    assert all(pair in of_item for pair, of_item in zip(drawn, pairs, strict=True))
    if RULES[config["pairs"]].whole_batch:
        assert len(set(drawn)) == 1
    if config["pairs"] == "clusters":
        assert len(set((CLUSTER[step.query_langs] == CLUSTER[step.passage_langs]).tolist())) == 1
    ways = config["ways"] if config["pairs"] == "multiway" else 1
    items = step.items.reshape(-1, ways)
    assert (items == items[:, :1]).all()
    assert len(np.unique(items[:, 0])) == len(items)
    if ways > 1:  # an item's languages are distinct, and each is once a query's and once a passage's
        queries, passages = (
            np.sort(langs.reshape(-1, ways), axis=1) for langs in (step.query_langs, step.passage_langs)
        )
        assert (queries == passages).all()
        assert (np.diff(queries, axis=1) > 0).all()
