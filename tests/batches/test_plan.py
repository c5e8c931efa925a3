import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from hbt_ray.batches.pairing import PAIRINGS
from hbt_ray.batches.plan import BatchPlan
from hbt_ray.config import PlanConfig
from hbt_ray.errors import PlanError
from tests.batches.cases import coverage, full_index, index_of, indexes, sources_index
from tests.batches.rules import ANCHOR, PARTITION, can_supply, check_step

RARE = 1e-6
"""A statistic less likely than this is taken for a fault."""


def plan_of(index, num_steps, *, seed=0, **config):
    return BatchPlan(index, PlanConfig(**config), seed=seed, num_steps=num_steps)


def same(a, b):
    return (a.step, a.monolingual, a.sources) == (b.step, b.monolingual, b.sources) and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("items", "query_langs", "passage_langs")
    )


def whole_items(config):
    """A batch of whole items, where a pairing makes several rows of one."""
    more = config["batch_size"] % config["ways"] if config["pairs"] == "multiway" else 0
    return config | {"batch_size": config["batch_size"] + (config["ways"] - more) * (more > 0)}


configs = st.fixed_dictionaries(
    {
        "alpha": st.sampled_from([0.0, 0.3, 0.5, 1.0]),
        "batch_size": st.integers(2, 10),
        "pairs": st.sampled_from(sorted(PAIRINGS)),
        "anchor_lang": st.just(ANCHOR),
        "ways": st.integers(2, 3),
        "partition": st.just(PARTITION),
        "lang_temperature": st.sampled_from([None, 1.0, 3.0]),
        "shuffle_row_groups": st.integers(1, 4),
    }
).map(whole_items)


def possible(index, config):
    """Whether X-X and X-Y batches can be made, from the coverage alone."""
    has = coverage(index)
    return (has.sum(axis=0) >= config["batch_size"]).any(), can_supply(has, config)


@given(indexes(), configs, st.integers(0, 2**40))
@settings(max_examples=100, deadline=None)
def test_every_step_is_pure_and_made_of_what_the_items_have(index, config, seed):
    num_steps, has = 30, coverage(index)
    mono_ok, cross_ok = possible(index, config)
    types = np.random.Generator(np.random.Philox(key=seed)).random((num_steps, 2))[:, 0] < config["alpha"]
    if (types.any() and not mono_ok) or (not types.all() and not cross_ok):
        with pytest.raises(PlanError):
            plan_of(index, num_steps, seed=seed, **config)
        return
    plan = plan_of(index, num_steps, seed=seed, **config)
    for number in range(num_steps):
        step = plan.step(number)
        assert (step.step, step.monolingual) == (number, bool(types[number]))
        assert len(step.items) == config["batch_size"] == len(step.query_langs) == len(step.passage_langs)
        if step.monolingual:
            assert len(set(step.items.tolist())) == config["batch_size"]
            assert has[step.items, step.query_langs].all()
            assert len({*step.query_langs.tolist(), *step.passage_langs.tolist()}) == 1
        else:
            check_step(step, has, config)


@given(indexes(min_langs=2), configs, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_a_step_is_the_same_asked_alone_in_any_order_and_in_a_longer_run(index, config, random):
    try:
        plan = plan_of(index, 25, seed=3, **config)
        longer = plan_of(index, 60, seed=3, **config)
    except PlanError:
        return
    in_sequence = [plan.step(t) for t in range(25)]
    order = list(range(25))
    random.shuffle(order)
    for asked in (plan, longer, plan_of(index, 25, seed=3, **config)):
        for t in order:
            assert same(asked.step(t), in_sequence[t])
    for t in order[:3]:
        assert same(plan_of(index, 25, seed=3, **config).step(t), in_sequence[t])


@given(indexes(), configs)
@settings(max_examples=40, deadline=None)
def test_every_stream_gives_each_item_once_a_pass(index, config):
    try:
        plan = plan_of(index, 120, seed=1, **config)
    except PlanError:
        return
    for number, info in enumerate(plan.streams):
        steps = np.flatnonzero(plan.stream_of == number)
        ways = config["ways"] if config["pairs"] == "multiway" and not info.langs else 1
        items = np.concatenate([plan.step(int(t)).items[::ways] for t in steps]) if len(steps) else np.zeros(0, int)
        for at in range(0, len(items), info.size):
            one_pass = items[at : at + info.size]
            assert len(np.unique(one_pass)) == len(one_pass)
        assert plan.passes()[info] == pytest.approx(len(items) / info.size)


def test_seeds_give_other_plans():
    index = full_index(100, 3)
    one, other = (plan_of(index, 50, seed=seed, batch_size=10) for seed in (0, 1))
    assert (one.monolingual != other.monolingual).any()
    assert not same(one.step(0), other.step(0))


@pytest.mark.parametrize("alpha", [0.05, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_share_of_monolingual_steps_is_alpha(alpha, seed):
    num = plan_of(full_index(40, 3), 20_000, alpha=alpha, batch_size=10, seed=seed).monolingual.sum()
    assert binomtest(int(num), 20_000, alpha).pvalue > RARE


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_alpha_at_the_ends_is_exact(alpha):
    plan = plan_of(full_index(40, 3), 5000, alpha=alpha, batch_size=10)
    assert (plan.monolingual == bool(alpha)).all()


def test_a_linear_schedule_moves_alpha_over_the_run():
    plan = plan_of(full_index(40, 3), 30_000, alpha=0.1, alpha_end=0.9, alpha_schedule="linear", batch_size=10)
    expected = np.linspace(0.1, 0.9, 30_000)
    for part in np.split(np.arange(30_000), 5):
        bound = math.sqrt(len(part) * math.log(2 / RARE) / 2)  # Hoeffding
        assert abs(plan.monolingual[part].sum() - expected[part].sum()) < bound


def test_a_staged_schedule_has_its_alpha_in_each_stage():
    stages = ((0.0, 1.0), (0.25, 0.3), (0.5, 0.0))
    plan = plan_of(full_index(40, 3), 20_000, alpha_schedule="staged", alpha_stages=stages, batch_size=10)
    assert plan.monolingual[:5000].all()
    assert binomtest(int(plan.monolingual[5000:10_000].sum()), 5000, 0.3).pvalue > RARE
    assert not plan.monolingual[10_000:].any()


def test_monolingual_steps_draw_languages_uniformly():
    has = np.ones((200, 5), bool)
    has[30:, 1] = has[90:, 3] = False  # languages of very different sizes
    plan = plan_of(index_of(has, [("a", 120), ("b", 80)]), 6000, alpha=1.0, batch_size=20)
    langs = np.array([plan.streams[number].langs[0] for number in plan.stream_of])
    assert chisquare(np.bincount(langs, minlength=5)).pvalue > RARE


@pytest.mark.parametrize("pairs", ["mixed", "single"])
def test_cross_lingual_steps_draw_ordered_pairs_uniformly_and_reach_all(pairs):
    plan = plan_of(full_index(60, 4), 3000, alpha=0.0, batch_size=15, pairs=pairs)
    counts = np.zeros((4, 4), int)
    for t in range(3000):
        step = plan.step(t)
        rows = slice(None) if pairs == "mixed" else slice(1)  # draws that are independent
        np.add.at(counts, (step.query_langs[rows], step.passage_langs[rows]), 1)
    assert (np.diag(counts) == 0).all()
    assert chisquare(counts[~np.eye(4, dtype=bool)]).pvalue > RARE


@given(indexes(min_langs=2))
@settings(max_examples=10, deadline=None)
def test_every_ordered_pair_of_an_irregular_corpus_comes(index):
    try:
        plan = plan_of(index, 800, alpha=0.0, batch_size=4)
    except PlanError:
        return
    has = coverage(index)
    expected = {pair for row in has for pair in itertools.permutations(np.flatnonzero(row).tolist(), 2)}
    rare = {pair for pair in expected if has[:, list(pair)].all(axis=1).sum() < 3}
    seen = set()
    for t in range(800):
        step = plan.step(t)
        seen |= set(zip(step.query_langs.tolist(), step.passage_langs.tolist(), strict=True))
    assert seen <= expected
    if min(plan.passes().values()) > 30:
        assert expected - rare <= seen


def test_rows_of_a_mixed_step_follow_the_language_temperature():
    has = np.ones((100, 3), bool)
    has[50:, 2] = False
    plan = plan_of(index_of(has, [("s", 100)]), 2000, alpha=0.0, batch_size=10, lang_temperature=1.0)
    counts = np.zeros(3)
    for t in range(2000):
        step = plan.step(t)
        counts += np.bincount(step.query_langs[step.items < 50], minlength=3)
    assert chisquare(counts, counts.sum() * np.array([0.4, 0.4, 0.2])).pvalue > RARE


def test_sources_are_drawn_by_size_or_by_weight():
    index = sources_index({"a": 300, "b": 100})
    for weights, share in (({}, 0.75), ({"a": 1, "b": 4}, 0.2)):
        plan = plan_of(index, 8000, alpha=0.5, batch_size=10, source_weights=weights)
        num = sum(plan.streams[number].sources == (0,) for number in plan.stream_of)
        assert binomtest(num, 8000, share).pvalue > RARE


@given(indexes(), st.sampled_from([0.5, 1.0, 2.0, 3.7]), st.integers(2, 6), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_no_stream_is_drawn_for_more_than_max_passes(index, max_passes, batch_size, seed):
    config = {"alpha": 1.0, "batch_size": batch_size, "seed": seed}
    try:
        free = plan_of(index, 1, **config)
    except PlanError:
        return
    capacity = sum(int(max_passes * info.size // batch_size) for info in free.streams)
    if capacity:
        plan = plan_of(index, capacity, max_passes=max_passes, **config)
        assert all(num <= max_passes for num in plan.passes().values())
    with pytest.raises(
        PlanError, match=rf"plan\.max_passes={max_passes} is used up at step {capacity} of {capacity + 1}"
    ):
        plan_of(index, capacity + 1, max_passes=max_passes, **config)


def test_a_cap_that_is_not_reached_changes_nothing():
    index = sources_index({"a": 300, "b": 100})
    free, capped = (plan_of(index, 100, batch_size=10, max_passes=cap) for cap in (None, 1000.0))
    assert all(same(free.step(t), capped.step(t)) for t in range(100))


def test_a_corpus_without_parallel_items():
    has = np.eye(3, dtype=bool).repeat(10, axis=0)
    index = index_of(has, [("s", 30)])
    assert plan_of(index, 10, alpha=1.0, batch_size=5).monolingual.all()
    with pytest.raises(PlanError, match=r"two languages or more.*corpus has 0 in all; set plan\.alpha=1"):
        plan_of(index, 10, alpha=0.0, batch_size=5)


def test_a_corpus_without_a_pair_that_is_large_enough():
    has = np.zeros((12, 4), bool)
    has[:6, :2] = has[6:, 2:] = True
    index = index_of(has, [("s", 12)])
    assert not plan_of(index, 5, alpha=0.0, batch_size=8).monolingual.any()
    with pytest.raises(PlanError, match="needs a language pair with that many items; the corpus has 12 in all"):
        plan_of(index, 5, alpha=0.0, batch_size=8, pairs="single")


def test_no_language_with_a_batch_of_items():
    with pytest.raises(PlanError, match=r"plan\.batch_size=50: no language.*the largest has 40 in all"):
        plan_of(full_index(40, 2), 10, batch_size=50)
    with pytest.raises(PlanError, match=r"no language.*without the sources that plan\.source_weights sets to 0"):
        plan_of(full_index(40, 2), 10, batch_size=10, source_weights={"s": 0})


def test_languages_left_out_are_noted():
    has = np.ones((40, 3), bool)
    has[4:, 1] = False
    plan = plan_of(index_of(has, [("s", 40)]), 200, alpha=0.5, batch_size=5)
    assert len(plan.notes) == 1
    assert "de (4)" in plan.notes[0]
    seen = {lang for t in range(200) for lang in plan.step(t).query_langs.tolist()}
    assert seen == {0, 1, 2}


def test_steps_outside_the_plan():
    plan = plan_of(full_index(20, 2), 3, batch_size=5)
    for step in (-1, 3):
        with pytest.raises(IndexError, match="of a plan of 3 steps"):
            plan.step(step)


@given(indexes(min_langs=2), configs, st.integers(0, 2**40), st.data())
@settings(max_examples=40, deadline=None)
def test_a_plan_in_some_languages_is_that_of_a_corpus_which_has_no_others(index, config, seed, data):
    kept = data.draw(st.lists(st.sampled_from(index.langs), min_size=1, unique=True))
    groups = list(zip((index.sources[at] for at in index.group_source), np.diff(index.group_start), strict=True))
    less = index_of(coverage(index) & np.isin(index.langs, kept), groups)
    try:
        expected = plan_of(less, 20, seed=seed, **config)
    except PlanError:
        with pytest.raises(PlanError):
            plan_of(index, 20, seed=seed, langs=tuple(kept), **config)
        return
    plan = plan_of(index, 20, seed=seed, langs=tuple(kept), **config)
    assert all(same(plan.step(number), expected.step(number)) for number in range(20))
    assert plan.streams == expected.streams


def test_a_language_that_the_corpus_lacks_is_named():
    with pytest.raises(PlanError, match=r"plan\.langs: the corpus has no language 'fr'; it has ar, de, en"):
        plan_of(full_index(20, 3), 3, batch_size=5, alpha=1.0, langs=("en", "fr"))
