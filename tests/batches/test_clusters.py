import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import binomtest

from hbt_ray.batches.clusters import check_partition, make_partition
from hbt_ray.batches.equal import equal_weights
from hbt_ray.batches.families import BRANCH, TABLE, family_distances
from hbt_ray.errors import ConfigError, PlanError
from tests.batches.cases import index_of
from tests.batches.rules import CLUSTER, PARTITION
from tests.batches.test_plan import RARE, plan_of

LANGS = tuple(sorted(BRANCH))


@given(
    st.sets(st.sampled_from(LANGS), min_size=4, max_size=40),
    st.sampled_from(["family", "random:3", "typology"]),
    st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_every_language_is_in_one_cluster_and_none_is_alone(codes, method, seed):
    langs = tuple(sorted(codes))
    points = np.random.default_rng(seed).normal(size=(len(langs), 3))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    partition = make_partition(method, langs, distances)
    assert sorted(code for cluster in partition for code in cluster) == list(langs)
    assert min(map(len, partition)) >= 2
    family = make_partition("family", langs)
    if method == "random:3":
        assert sorted(map(len, partition)) == sorted(map(len, family))
        assert partition == make_partition(method, langs)
    assert len(partition) <= len(family)
    labels = check_partition(partition, langs)
    assert [{code for code, one in zip(langs, labels, strict=True) if one == n} for n in range(len(partition))] == [
        set(cluster) for cluster in partition
    ]


def test_branches_are_clusters_and_the_lonely_join_their_family_then_their_script():
    langs = ("ar", "be", "bg", "da", "de", "el", "es", "fr", "he", "hi", "ja", "ru", "zh", "zh-Hant")
    assert make_partition("family", langs) == (
        ("ar", "he"), ("be", "bg", "el", "hi", "ru"), ("da", "de"), ("es", "fr"), ("ja", "zh", "zh-Hant"),
    )  # fmt: skip
    assert make_partition("random:0", langs) != make_partition("random:1", langs)


def test_the_table_has_every_language_once_and_distances_are_symmetric():
    codes = [code for line in TABLE.strip().splitlines() for code in line.split(": ")[1].split()]
    assert len(codes) == len(set(codes)) == len(BRANCH)
    distances = family_distances(("de", "en", "ru", "ja", "zh", "tlh"))
    np.testing.assert_array_equal(distances, distances.T)
    assert distances[0].tolist() == pytest.approx([0, 0, 0.6, 1.1, 1.1, 1.0 + 0.1 * (distances[0, 5] > 1)])


def test_distances_that_show_two_clusters_give_them():
    langs = ("da", "de", "es", "fr", "ru", "uk")
    apart = np.array([0, 1, 0, 1, 0, 1])
    distances = (apart[:, None] != apart) + 0.01 * ~np.eye(6, dtype=bool)
    assert make_partition("centroids", langs, distances) == (("da", "es", "ru"), ("de", "fr", "uk"))


def test_partitions_that_cannot_be():
    with pytest.raises(PlanError, match="needs four languages, two in a cluster; there are de, en"):
        make_partition("family", ("de", "en"))
    with pytest.raises(PlanError, match=r"plan\.clusters=centroids: only a job can make these"):
        make_partition("centroids", ("da", "de", "es", "fr"))
    with pytest.raises(PlanError, match=r"plan\.partition has de in two clusters"):
        check_partition((("de", "en"), ("de", "fr")), ("de", "en", "fr"))
    with pytest.raises(PlanError, match=r"plan\.partition lacks hi, which the corpus has"):
        check_partition((("de", "en"),), ("de", "en", "hi"))
    with pytest.raises(ConfigError, match=r"plan\.clusters='families' is not allowed"):
        plan_of(index_of(np.ones((20, 4), bool), [("s", 20)]), 5, clusters="families")
    ignored = plan_of(index_of(np.ones((20, 4), bool), [("s", 20)]), 5, batch_size=5, equal_pairs=True)
    assert ignored.notes == ["plan.equal_pairs is ignored with plan.pairs=mixed"]
    has = np.zeros((30, 4), bool)
    has[:, :2] = True  # ar and de, which are in two clusters
    with pytest.raises(PlanError, match=r"plan\.gamma=0\.5: fewer than .* of one cluster; .*plan\.gamma=0"):
        plan_of(index_of(has, [("s", 30)]), 5, alpha=0.0, batch_size=5, pairs="clusters", partition=PARTITION)


@pytest.mark.parametrize("gamma", [0.0, 0.2, 1.0])
def test_gamma_is_the_share_of_cross_lingual_steps_within_clusters(gamma):
    config = {"alpha": 0.3, "batch_size": 10, "pairs": "clusters", "partition": PARTITION, "gamma": gamma}
    plan = plan_of(index_of(np.ones((60, 6), bool), [("a", 40), ("b", 20)]), 2000, **config)
    steps = [plan.step(t) for t in np.flatnonzero(~plan.monolingual)]
    within = [bool(CLUSTER[step.query_langs[0]] == CLUSTER[step.passage_langs[0]]) for step in steps]
    if gamma in (0, 1):
        assert set(within) == {bool(gamma)}
    else:
        assert binomtest(sum(within), len(within), gamma).pvalue > RARE


def pair_counts(plan, num_steps):
    counts = np.zeros((2, 6, 6))
    for t in range(num_steps):
        step = plan.step(t)
        kind = int(CLUSTER[step.query_langs[0]] == CLUSTER[step.passage_langs[0]])
        np.add.at(counts[kind], (step.query_langs, step.passage_langs), 1)
    return counts


def test_equal_pairs_come_alike_within_each_kind_of_step():
    has = np.random.default_rng(0).random((600, 6)) < [1.0, 1.0, 0.9, 0.9, 0.8, 0.5]
    config = {"alpha": 0.0, "batch_size": 60, "pairs": "clusters", "partition": PARTITION}
    spread = {}
    for equal in (False, True):
        counts = pair_counts(plan_of(index_of(has, [("s", 600)]), 1500, equal_pairs=equal, **config), 1500)
        within = counts[1][(CLUSTER[:, None] == CLUSTER) & ~np.eye(6, dtype=bool)]
        across = counts[0][CLUSTER[:, None] != CLUSTER]
        spread[equal] = max(kind.max() / kind.min() for kind in (within, across))
    assert spread[True] < 1.2 < 1.7 < spread[False]


@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_no_weights_let_the_rarest_pair_come_much_more_often(seed, num_langs, num_patterns):
    """The best that any way to draw could do is a linear program."""
    rng = np.random.default_rng(seed)
    patterns = np.unique(rng.random((num_patterns, num_langs)) < rng.uniform(0.3, 1), axis=0)
    allowed = ~np.eye(num_langs, dtype=bool)
    first, second = np.nonzero(allowed)
    has = patterns[:, first] & patterns[:, second]
    patterns, has = patterns[has.any(axis=1)], has[has.any(axis=1)]
    if not len(patterns):
        return
    counts = rng.integers(1, 50, len(patterns))
    weights = equal_weights(allowed, patterns, counts)[first, second]
    drawn = (counts[:, None] * has * weights / (has * weights).sum(axis=1, keepdims=True)).sum(axis=0)
    possible = np.flatnonzero(has.any(axis=0))
    cells = np.argwhere(has)  # rows of a pattern that get a pair: how many, and the least of any pair
    of_pattern, of_pair = np.zeros((len(patterns), len(cells) + 1)), np.zeros((len(possible), len(cells) + 1))
    of_pattern[cells[:, 0], np.arange(len(cells))] = 1
    of_pair[np.searchsorted(possible, cells[:, 1]), np.arange(len(cells))] = -1
    of_pair[:, -1] = 1
    goal = np.r_[np.zeros(len(cells)), -1.0]
    best = linprog(goal, A_ub=of_pair, b_ub=np.zeros(len(possible)), A_eq=of_pattern, b_eq=counts)
    assert drawn[possible].min() >= 0.95 * -best.fun


def test_a_pair_that_few_items_have_is_drawn_whenever_it_can_be():
    patterns = np.array([[1, 1, 1], [1, 1, 0]], bool)
    weights = equal_weights(~np.eye(3, dtype=bool), patterns, np.array([10, 90]))
    with_third = weights[0, 2] + weights[2, 0] + weights[1, 2] + weights[2, 1]
    assert with_third / weights.sum() > 0.99
    even = equal_weights(~np.eye(3, dtype=bool), np.ones((1, 3), bool), np.array([5]))
    np.testing.assert_allclose(even[~np.eye(3, dtype=bool)], 1.0)
    assert (np.diag(even) == 0).all()
