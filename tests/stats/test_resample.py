"""Strata keep every language defined, and draws keep to the strata."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hbt_ray.stats.resample import question_weights, strata


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 2**31), st.floats(0.05, 1))
def test_every_value_has_a_stratum_of_its_own_questions(num_questions, num_values, seed, density):
    fills = np.random.default_rng(seed).random((num_questions, num_values)) < density
    found = strata(fills)
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))
    assert found.max() <= num_values
    for column in fills.T[fills.any(axis=0)]:
        assert any(column[found == number].all() for number in range(found.max() + 1))
    (weights,) = question_weights(found, 8, np.random.default_rng(seed))
    for number in range(found.max() + 1):
        assert (weights[:, found == number].sum(axis=1) == (found == number).sum()).all()
    assert ((weights @ fills > 0) == fills.any(axis=0)).all()


def test_parallel_is_one_stratum_and_unconnected_languages_are_one_each():
    assert set(strata(np.ones((9, 4), dtype=bool))) == {0}
    apart = np.arange(9)[:, None] % 3 == np.arange(3)
    found = strata(np.concatenate([apart, apart], axis=1))  # a language has more than one number
    assert len(set(found)) == 3
    assert all(len(set(found[apart[:, lang]])) == 1 for lang in range(3))
    # English in all questions, and one other language in some: those with it, and those without.
    assert np.bincount(strata(np.stack([np.ones(9, dtype=bool), np.arange(9) < 4], axis=1))).tolist() == [5, 4]


def test_draws_do_not_depend_on_how_they_are_blocked(monkeypatch):
    stratum = np.array([0, 0, 0, 1, 1])
    weights = np.concatenate(list(question_weights(stratum, 4000, np.random.default_rng(0))))
    assert weights.shape == (4000, 5)
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(weights.var(axis=0), [2 / 3] * 3 + [1 / 2] * 2, atol=0.05)  # n draws of n: 1 - 1/n
    monkeypatch.setattr("hbt_ray.stats.resample.BLOCK_BYTES", 8 * 5 * 7)
    sizes = [len(block) for block in question_weights(stratum, 20, np.random.default_rng(0))]
    assert sizes == [7, 7, 6]
