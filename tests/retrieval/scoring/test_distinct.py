"""Numbers that are one and the same on a set, against what random models score on it."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from hbt_ray.retrieval.scoring.cells import headline_cells
from hbt_ray.retrieval.scoring.distinct import METRICS, distinct_numbers, left_out, metric_names, repeated
from hbt_ray.retrieval.scoring.score import score
from tests.retrieval.conftest import random_set

NUM_MODELS = 4


def made(query_langs, passage_langs, num_langs=3, lost=()):
    """A random set of 30 queries on 400 passages, whose languages are drawn from those given."""
    rng = np.random.default_rng(0)
    rs = random_set(rng, num_langs, 30, 400)
    return replace(
        rs,
        query_langs=rng.choice(query_langs, 30),
        passage_langs=rng.choice(passage_langs, 400),
        lost_queries=np.array(lost, dtype=np.int64),
        lost_grades=np.ones(len(lost), dtype=np.int64),
    )


SETS = {
    "all on all": (made([0, 1, 2], [0, 1, 2]), {}),
    "one language": (
        made([0], [0], 1),
        {"pool_map": "mono_map", "pool_ndcg10": "mono_ndcg10", "worst_lang_map": "mono_map"},
    ),
    "one language, answers lost": (
        made([0], [0], 1, [3, 3, 5]),
        {"pool_map": "mono_map", "pool_ndcg10": "mono_ndcg10", "worst_lang_map": "mono_map"},
    ),
    "a language that has nothing": (
        made([1], [1]),
        {"pool_map": "mono_map", "pool_ndcg10": "mono_ndcg10", "worst_lang_map": "mono_map"},
    ),
    "one asks": (made([1], [0, 1, 2]), {"worst_lang_map": "pool_map"}),
    "one asks of two": (made([1], [0, 1], 2), {"worst_lang_map": "pool_map", "worst_pair_map": "cross_map"}),
    "one is asked": (made([0, 1, 2], [1]), {}),
    "one is asked by others": (made([0, 2], [1]), {"pool_map": "cross_map", "worst_pair_map": "worst_lang_map"}),
    "one is asked by others, answers lost": (made([0, 2], [1], lost=[3, 3, 5]), {}),
    "one asks another": (
        made([0], [1], 2),
        {"pool_map": "cross_map", "worst_lang_map": "cross_map", "worst_pair_map": "cross_map"},
    ),
}


@pytest.mark.parametrize(("rs", "expected"), SETS.values(), ids=SETS)
def test_what_is_said_to_be_the_same_is_the_same_for_any_model_and_nothing_else_is(rs, expected):
    rng = np.random.default_rng(1)
    found = [score(rs, rng.standard_normal((30, 5)), rng.standard_normal((400, 5)), top_k=0) for _ in range(NUM_MODELS)]
    assert repeated(found[0]) == expected
    headlines = [scores.headline() for scores in found]
    shown = distinct_numbers(found[0])
    assert shown.keys() == {name for name, x in headlines[0].items() if not np.isnan(x)} - expected.keys()
    for one, other in combinations([*shown, *expected], 2):
        if not any(headline[one] or headline[other] for headline in headlines):
            continue  # no model can find what is lost: all numbers of a language without passages are 0
        same = all(abs(headline[one] - headline[other]) < 1e-12 for headline in headlines)
        assert same is (expected.get(one, one) == expected.get(other, other)), (one, other)
    cells, told = headline_cells(found[0]), left_out(found[0])
    for name, stands_for in expected.items():  # not only the number: what each question adds to it
        np.testing.assert_allclose(cells[name].sums.sum(axis=1), cells[stands_for].sums.sum(axis=1), atol=1e-12)
    names = metric_names(found[0])
    assert list(names) == [name for name in METRICS if name in shown]
    assert "{" not in str(list(names.values()))
    assert bool(told) is (len(shown) < len(METRICS))
