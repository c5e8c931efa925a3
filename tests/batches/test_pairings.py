"""What each pairing draws, and how often."""

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from hbt_ray.errors import PlanError
from tests.batches.cases import full_index, index_of
from tests.batches.test_plan import RARE, plan_of


def shares(plan, num_steps):
    """Of the rows of X-Y steps, the share of every ordered pair."""
    counts = np.zeros((len(plan.index.langs),) * 2)
    for t in range(num_steps):
        step = plan.step(t)
        np.add.at(counts, (step.query_langs, step.passage_langs), 1)
    return counts


def test_anchored_rows_have_the_anchor_as_often_on_either_side():
    has = np.ones((100, 4), bool)
    has[50:, 3] = False
    config = {"alpha": 0.0, "batch_size": 20, "pairs": "anchored", "anchor_lang": "en", "lang_temperature": 1.0}
    counts = shares(plan_of(index_of(has, [("s", 100)]), 1000, **config), 1000)
    anchor = 2  # of ar, de, en, hi
    others = [0, 1, 3]
    assert counts.sum() == counts[anchor].sum() + counts[:, anchor].sum()
    assert counts[anchor, anchor] == 0
    assert binomtest(int(counts[anchor].sum()), int(counts.sum()), 0.5).pvalue > RARE
    expected = 0.5 * np.array([0.5, 0.5, 0]) + 0.5 * np.array([1, 1, 0.5]) / 2.5  # items without and with hi
    assert chisquare(counts[anchor, others], counts[anchor].sum() * expected).pvalue > RARE


def test_any_draws_both_languages_independently_and_equal_ones_too():
    has = np.ones((100, 3), bool)
    has[50:, 2] = False
    config = {"alpha": 0.0, "batch_size": 20, "pairs": "any", "lang_temperature": 1.0}
    counts = shares(plan_of(index_of(has, [("s", 100)]), 1000, **config), 1000)
    of_all, of_two = np.array([2, 2, 1]) / 5, np.array([1, 1, 0]) / 2
    expected = (np.outer(of_all, of_all) + np.outer(of_two, of_two)) / 2
    assert chisquare(counts.ravel(), counts.sum() * expected.ravel()).pvalue > RARE


def test_multiway_draws_every_language_as_often_and_its_rows_are_on_one_worker():
    config = {"alpha": 0.0, "batch_size": 12, "pairs": "multiway", "ways": 3}
    plan = plan_of(full_index(60, 5), 1000, **config)
    counts = shares(plan, 1000)
    assert chisquare(counts.sum(axis=0)).pvalue > RARE
    assert chisquare(counts[~np.eye(5, dtype=bool)]).pvalue > RARE
    for world_size in (2, 4):  # a worker has whole items
        assert all(len(set(part)) == 12 // 3 // world_size for part in np.split(plan.step(0).items, world_size))


def test_pairings_say_what_they_lack():
    index = full_index(60, 3)
    with pytest.raises(PlanError, match=r"plan\.anchor_lang='fr'.*it has ar, de, en"):
        plan_of(index, 5, alpha=0.0, batch_size=6, pairs="anchored", anchor_lang="fr")
    with pytest.raises(PlanError, match=r"plan\.batch_size=8.*multiple of plan\.ways=3"):
        plan_of(index, 5, alpha=0.0, batch_size=8, pairs="multiway")
    with pytest.raises(PlanError, match=r"items with plan\.ways languages"):
        plan_of(index, 5, alpha=0.0, batch_size=8, pairs="multiway", ways=4)
