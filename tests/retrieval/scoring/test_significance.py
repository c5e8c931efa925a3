"""Intervals and tests of the headline, against scipy's own bootstrap and permutation test."""

import numpy as np
import pytest
from scipy import stats

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.cells import VALUES, cells_by_lang, headline_cells
from hbt_ray.retrieval.scoring.distinct import distinct_numbers
from hbt_ray.retrieval.scoring.metrics import group_mean, nan_mean
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.significance import compare, intervals
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.stats.compare import holm, sign_flip_test
from hbt_ray.stats.resample import question_weights, strata, weighted_number
from tests.retrieval.conftest import random_set

ROUNDING = 1e-12


def parallel_scores(seed, noise=(0.8,), has=None, num_items=60, langs=("en", "de", "zh")):
    """Scores of one encoder for each noise level, on one parallel set."""
    rng = np.random.default_rng(seed)
    rs = parallel_set("dev", langs, np.ones((num_items, len(langs)), dtype=bool) if has is None else has)
    items = rng.standard_normal((num_items, 16))
    queries, passages = rng.standard_normal((2, rs.num_queries, 16))
    return [
        score(rs, items[rs.query_keys] + level * queries, items[rs.query_keys] + level * passages) for level in noise
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_identity_resample_is_the_headline(seed):
    rng = np.random.default_rng(seed)
    has = rng.random((40, 3)) < 0.6  # coverage with holes, so that pairs and languages weigh differently
    irregular = random_set(rng, 4, 60, 50, max_gold=3)
    vectors = rng.standard_normal((60, 8)), rng.standard_normal((50, 8))
    for scores in (*parallel_scores(seed, has=has, num_items=40), score(irregular, *vectors)):
        cells = headline_cells(scores)
        ones = np.ones(len(np.unique(scores.per_query.keys)))
        headline = scores.headline()
        assert list(cells) == list(VALUES) == list(headline)
        for name, cell in cells.items():
            got = weighted_number(ones[None], cell)[0]
            np.testing.assert_allclose(got, headline[name], rtol=ROUNDING, err_msg=name)
        assert {row.metric: row.value for row in intervals(scores, num_resamples=5)} == {
            name: headline[name] for name, cell in cells.items() if not cell.worst
        }


def recomputed(scores, rows):
    """The headline from the per-query scores of the questions in `rows`, the plain way."""
    per, num_langs = scores.per_query, len(scores.langs)
    taken = np.concatenate([np.flatnonzero(per.keys == key) for key in np.unique(per.keys)[rows]])
    langs = per.langs[taken]

    def matrix(values):
        return np.stack([group_mean(column, langs, num_langs) for column in values[taken].T], axis=1)

    def by_lang(values):
        return group_mean(values[taken], langs, num_langs)

    off, standard = ~np.eye(num_langs, dtype=bool), scores.standard
    return {
        "mono_map": nan_mean(np.diagonal(matrix(per.pair_ap))),
        "cross_map": nan_mean(matrix(per.pair_ap)[off]),
        "pool_map": nan_mean(by_lang(per.pool_ap)),
        "mono_r1": nan_mean(np.diagonal(matrix(per.pair_r1))),
        "cross_r1": nan_mean(matrix(per.pair_r1)[off]),
        "pool_r10": nan_mean(by_lang(per.pool_recall)),
        "mono_ndcg10": nan_mean(by_lang(standard.mono_ndcg)),
        "mono_r100": nan_mean(by_lang(standard.mono_recall)),
        "pool_ndcg10": nan_mean(by_lang(standard.pool_ndcg)),
        "rank_distance": nan_mean(by_lang(per.rank_distance)),
        "worst_lang_map": np.nanmin(by_lang(per.pool_ap)),
        "worst_pair_map": min(matrix(per.pair_ap)[off & ~np.isnan(matrix(per.pair_ap))], default=np.nan),
    }


def scipy_interval(statistic, stratum, num_resamples, seed):
    """scipy's percentile bootstrap of a function of question rows, which are drawn from each stratum on its own."""
    found = stats.bootstrap(
        tuple(np.flatnonzero(stratum == number) for number in np.unique(stratum)),
        lambda *rows: statistic(np.concatenate(rows)),
        n_resamples=num_resamples,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return found.confidence_interval


COVERAGE = {
    "parallel": np.ones((40, 3), dtype=bool),
    "a language a question": np.arange(40)[:, None] % 3 == np.arange(3),
    "irregular": np.random.default_rng(3).random((40, 3)) < 0.6,
}
COVERAGE["irregular"][:, 0] = True


@pytest.mark.parametrize("has", COVERAGE.values(), ids=COVERAGE)
def test_intervals_are_those_of_scipy(has):
    a, b = parallel_scores(1, (0.8, 0.9), has, 40)
    stratum = strata(cells_by_lang(headline_cells(a)))
    found = {row.metric: row for row in intervals(a, num_resamples=40, seed=7)}
    compared = {row.metric: row for row in compare(a, b, num_resamples=40, seed=7)}
    assert list(compared) == list(distinct_numbers(a))
    assert list(found) == [name for name in compared if not name.startswith("worst_")]  # extremes have none
    for metric, row in compared.items():
        if metric in found:
            want = scipy_interval(lambda rows, name=metric: recomputed(a, rows)[name], stratum, 40, 7)
            got = found[metric]
            np.testing.assert_allclose((got.low, got.high), (want.low, want.high), rtol=ROUNDING, err_msg=metric)
        want = scipy_interval(
            lambda rows, name=metric: recomputed(b, rows)[name] - recomputed(a, rows)[name], stratum, 40, 7
        )
        np.testing.assert_allclose((row.low, row.high), (want.low, want.high), rtol=1e-9, err_msg=metric)


def test_no_draw_leaves_out_a_language():
    """A plain draw leaves out a language with 2 of 60 questions in one of seven draws, (58 / 60)^60."""
    has = np.zeros((60, 3), dtype=bool)
    has[:, 0] = has[:30, 1] = True
    has[58:] = np.arange(3) == 2
    (scores,) = parallel_scores(0, has=has)
    cells = headline_cells(scores)
    stratum = strata(cells_by_lang(cells))
    assert np.bincount(stratum).tolist() == [28, 2, 30]
    (weights,) = question_weights(stratum, 500, np.random.default_rng(0))
    for name in cells.keys() - {"cross_map", "cross_r1", "worst_pair_map"}:
        assert (weights @ cells[name].counts > 0).all(), name
    rows = {row.metric: row for row in intervals(scores, num_resamples=500)}
    assert all(row.low <= row.value <= row.high for row in rows.values())


def test_the_exact_test_is_that_of_scipy():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        a, b = rng.integers(0, 5, (2, 9)) / 4  # with ties
        want = stats.permutation_test((a, b), lambda x, y: (x - y).mean(), permutation_type="samples", n_resamples=512)
        got = sign_flip_test((b - a)[:, None], num_resamples=512, seed=0)
        assert got[0] == pytest.approx(want.pvalue, rel=ROUNDING)


def test_the_random_test_is_near_that_of_scipy():
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 80))
    b += 0.08
    want = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis),
        permutation_type="samples",
        n_resamples=20_000,
        vectorized=True,
        rng=1,
    ).pvalue
    got = sign_flip_test((b - a)[:, None], num_resamples=20_000, seed=0)[0]
    assert 0.01 < want < 0.5
    assert got == pytest.approx(want, abs=4 * np.sqrt(want / 20_000))


def test_an_exchange_of_the_models_is_a_sign():
    """The tests are those of an exchange of two models' scores, question by question, done one by one."""
    has = np.random.default_rng(5).random((8, 3)) < 0.7
    has[:, 1] = True
    a, b = parallel_scores(4, (0.8, 1.2), has, 8)
    rows = {row.metric: row for row in compare(a, b, num_resamples=256)}
    ones, cells_a, cells_b = np.ones(8), headline_cells(a), headline_cells(b)
    for name, cell in cells_a.items():
        differences = []
        for signs in np.ndindex(*(2,) * 8):
            swap = np.array(signs, dtype=bool)[:, None]
            one, other = (
                weighted_number(ones[None], cell._replace(sums=np.where(swap, x.sums, y.sums)))[0]
                for x, y in ((cell, cells_b[name]), (cells_b[name], cell))
            )
            differences.append(abs(one - other))
        observed = abs(rows[name].difference)
        assert rows[name].p_value == np.mean(np.array(differences) >= observed - 1e-12), name


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(holm(np.array([np.nan, 0.02, 0.9])), [np.nan, 0.04, 0.9])
    np.testing.assert_array_equal(holm(np.array([0.6, 0.7])), [1.0, 1.0])


def test_a_better_model_is_told_from_noise():
    a, better, equal = parallel_scores(0, (1.2, 0.8, 1.2))
    rows = {row.metric: row for row in compare(a, better)}
    ceiling = rows.pop("mono_r100")  # both find every passage among the first 100 of 60
    assert (ceiling.a, ceiling.b, ceiling.verdict) == (1, 1, "not significant")
    assert {row.verdict for row in rows.values()} == {"better"}
    assert rows["rank_distance"].difference < 0
    assert {row.verdict for row in compare(better, a) if row.metric != "mono_r100"} == {"worse"}
    for row in compare(a, equal):
        assert (row.difference, row.low, row.high, row.p_value, row.verdict) == (0, 0, 0, 1, "not significant")


def test_false_alarms_stay_below_the_level():
    """Two models that differ by chance alone: at most 5% of the families have a significant row (here 200 families)."""
    rng = np.random.default_rng(11)
    alarms = 0
    for _ in range(200):
        parts = rng.standard_normal((40, 1)) + 0.5 * rng.standard_normal((40, 7))  # correlated, as metrics are
        alarms += bool((holm(sign_flip_test(parts, num_resamples=400, seed=0)) < 0.05).any())
    assert alarms <= 20  # 10 expected at most; 20 is three standard deviations above


def test_the_seed_decides():
    a, b = parallel_scores(9, (1.0, 1.05))
    assert compare(a, b, num_resamples=300) == compare(a, b, num_resamples=300)
    assert compare(a, b, num_resamples=300) != compare(a, b, num_resamples=300, seed=1)
    assert intervals(a, num_resamples=300) != intervals(a, num_resamples=300, seed=1)


def test_each_number_is_tested_once():
    """In one language the mix is the inside: five numbers are left, and the correction is for five."""
    a, b = parallel_scores(0, (1.0, 0.9), langs=("en",), num_items=200)
    rows = compare(a, b, num_resamples=300)
    assert [row.metric for row in rows] == ["mono_map", "mono_r1", "pool_r10", "mono_ndcg10", "mono_r100"]
    p_values = np.array([row.p_value for row in rows])
    np.testing.assert_array_equal([row.p_adjusted for row in rows], holm(p_values))
    smallest = p_values.argmin()
    assert 0 < p_values[smallest] < 0.2
    assert rows[smallest].p_adjusted == pytest.approx(5 * p_values[smallest])
    assert [row.metric for row in intervals(a, num_resamples=20)] == [row.metric for row in rows]


def test_wrong_input_is_named():
    (a,) = parallel_scores(0)
    (other,) = parallel_scores(0, num_items=59)
    with pytest.raises(EvaluationError, match="different sets"):
        compare(a, other)
    with pytest.raises(EvaluationError, match="num_resamples is 0"):
        intervals(a, num_resamples=0)
    (single,) = parallel_scores(0, num_items=1)
    with pytest.raises(EvaluationError, match="single question"):
        intervals(single)
