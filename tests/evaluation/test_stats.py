"""Intervals and tests of the headline, against scipy's own bootstrap and permutation test."""

import numpy as np
import pytest
from scipy import stats

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.cells import VALUES, headline_cells, headline_number
from hbt_ray.evaluation.metrics import group_mean, nan_mean
from hbt_ray.evaluation.parallel import parallel_set
from hbt_ray.evaluation.score import score
from hbt_ray.evaluation.stats import compare, holm, intervals, sign_flip_test
from tests.evaluation.conftest import random_set

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
        ones, cells = headline_cells(scores)
        headline = scores.headline()
        assert list(cells) == list(VALUES) == list(headline)
        for name, cell in cells.items():
            got = headline_number(ones[None], cell)[0]
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
        "multi_map": nan_mean(by_lang(per.multi_ap)),
        "mono_r1": nan_mean(np.diagonal(matrix(per.pair_r1))),
        "cross_r1": nan_mean(matrix(per.pair_r1)[off]),
        "multi_r10": nan_mean(by_lang(per.multi_recall)),
        "mono_ndcg10": nan_mean(by_lang(standard.mono_ndcg)),
        "mono_r100": nan_mean(by_lang(standard.mono_recall)),
        "multi_ndcg10": nan_mean(by_lang(standard.multi_ndcg)),
        "rank_distance": nan_mean(by_lang(per.rank_distance)),
        "worst_lang_map": np.nanmin(by_lang(per.multi_ap)),
        "worst_pair_map": np.nanmin(matrix(per.pair_ap)[off]),
    }


def scipy_interval(statistic, num_keys, num_resamples, seed):
    """scipy's percentile bootstrap of a function of question rows."""
    found = stats.bootstrap(
        (np.arange(num_keys),),
        lambda rows: statistic(rows),
        n_resamples=num_resamples,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return found.confidence_interval


@pytest.mark.parametrize("metric", list(VALUES))
def test_intervals_are_those_of_scipy(metric):
    has = np.random.default_rng(3).random((40, 3)) < 0.8
    has[:, 0] = True
    a, b = parallel_scores(1, (0.8, 0.9), has, 40)
    if not metric.startswith("worst_"):  # extremes have none
        want = scipy_interval(lambda rows: recomputed(a, rows)[metric], 40, 60, 7)
        got = {row.metric: row for row in intervals(a, num_resamples=60, seed=7)}[metric]
        np.testing.assert_allclose((got.low, got.high), (want.low, want.high), rtol=ROUNDING)
    want = scipy_interval(lambda rows: recomputed(b, rows)[metric] - recomputed(a, rows)[metric], 40, 60, 7)
    row = {row.metric: row for row in compare(a, b, num_resamples=60, seed=7)}[metric]
    np.testing.assert_allclose((row.low, row.high), (want.low, want.high), rtol=1e-9)


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
    (ones, cells_a), (_, cells_b) = headline_cells(a), headline_cells(b)
    for name, cell in cells_a.items():
        differences = []
        for signs in np.ndindex(*(2,) * 8):
            swap = np.array(signs, dtype=bool)[:, None]
            one, other = (
                headline_number(ones[None], cell._replace(sums=np.where(swap, x.sums, y.sums)))[0]
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
    assert (ceiling.a, ceiling.b, ceiling.verdict) == (1, 1, "noise")
    assert {row.verdict for row in rows.values()} == {"real"}
    assert {row.better for row in rows.values()} == {"b"}
    assert rows["rank_distance"].difference < 0
    assert {row.better for row in compare(better, a) if row.metric != "mono_r100"} == {"a"}
    for row in compare(a, equal):
        assert (row.difference, row.low, row.high, row.p_value, row.verdict) == (0, 0, 0, 1, "noise")
        assert row.better == "neither"


def test_false_alarms_stay_below_the_level():
    """Two models that differ by chance alone: at most 5% of the families have a "real" row (here 200 families)."""
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


def test_what_a_set_does_not_define():
    a, b = parallel_scores(0, (1.0, 0.5), langs=("en",))
    rows = {row.metric: row for row in compare(a, b, num_resamples=300)}
    assert rows["cross_map"].verdict == rows["rank_distance"].verdict == "undefined"
    assert np.isnan([rows["cross_map"].p_holm, rows["cross_map"].low, rows["cross_map"].difference]).all()
    assert rows["mono_map"].verdict == "real"


def test_wrong_input_is_named():
    (a,) = parallel_scores(0)
    (other,) = parallel_scores(0, num_items=59)
    with pytest.raises(EvaluationError, match="different sets"):
        compare(a, other)
    with pytest.raises(EvaluationError, match="num_resamples is 0"):
        intervals(a, num_resamples=0)
    with pytest.raises(EvaluationError, match="confidence 95"):
        compare(a, a, confidence=95)
    (single,) = parallel_scores(0, num_items=1)
    with pytest.raises(EvaluationError, match="single question"):
        intervals(single)
