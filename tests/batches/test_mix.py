import dataclasses
from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.mix import lang_weights
from hbt_ray.batches.pairing import PAIRINGS, Mono
from hbt_ray.config import PlanConfig
from hbt_ray.errors import PlanError
from tests.batches.cases import coverage, full_index, index_of, indexes, item_sources, sources_index
from tests.batches.rules import ANCHOR, PARTITION, can_supply, item_pairs, pairs_of_kind

Mixed = PAIRINGS["mixed"]


def members(index, info, config):
    """The items a stream should have, from the coverage alone."""
    has = coverage(index)
    if info.langs:
        rows = has[:, list(info.langs)].all(axis=1)
    elif config["pairs"] == "clusters":
        rows = [bool(pairs_of_kind(np.flatnonzero(row).tolist(), info.kind == 0)) for row in has]
    else:
        rows = [bool(pairs) for pairs in item_pairs(has, config)]
    return np.flatnonzero(rows & np.isin(item_sources(index), info.sources))


@given(indexes(), st.integers(2, 12), st.sampled_from(sorted(PAIRINGS)))
@settings(max_examples=50, deadline=None)
def test_streams_hold_every_item_that_a_batch_can_be_made_of(index, batch_size, pairs):
    config = PlanConfig(
        batch_size=batch_size + batch_size % 2, pairs=pairs, anchor_lang=ANCHOR, ways=2, partition=PARTITION
    )
    batch_size = config.batch_size
    pairings = Mono(index, config), PAIRINGS[pairs](index, config)
    has = coverage(index)
    if pairs == "clusters" and not can_supply(has, vars(config)):
        return
    mono, cross = (pairing.pool for pairing in pairings)
    for pairing in pairings:
        mix, taken = pairing.pool, {}
        for info in mix.streams:
            expected = members(index, info, vars(config))
            num_items = pairing.items_per_batch
            assert info.size == len(expected) >= num_items
            stream = pairing.stream(info, 0)
            one_pass = np.concatenate([stream.batch(k) for k in range(-(-info.size // num_items))])[: info.size]
            assert sorted(one_pass.tolist()) == expected.tolist()
            taken.setdefault((info.langs, info.kind), []).extend(expected.tolist())
        for items in taken.values():
            assert len(set(items)) == len(items)  # no item in two streams of the same kind
        if mix.streams:
            assert mix.probabilities.sum() == pytest.approx(1, abs=1e-12)
            assert (mix.probabilities > 0).all()
        for (langs, kind), items in taken.items():  # no source is left out, however small
            everything = dataclasses.replace(
                mix.streams[0], langs=langs, kind=kind, sources=tuple(range(len(index.sources)))
            )
            assert sorted(items) == members(index, everything, vars(config)).tolist()
    counts = has.sum(axis=0)
    assert {info.langs[0] for info in mono.streams} == set(np.flatnonzero(counts >= batch_size).tolist())
    short = [f"{index.langs[at]} ({counts[at]})" for at in np.flatnonzero((counts > 0) & (counts < batch_size))]
    assert mono.notes == [] if not short else ", ".join(short) in mono.notes[0]
    together = has.T.astype(int) @ has
    np.fill_diagonal(together, 0)
    if pairs == "single":
        assert {info.langs for info in cross.streams} == set(map(tuple, np.argwhere(together >= batch_size).tolist()))
        num_short = int(((together > 0) & (together < batch_size)).sum())
        assert cross.notes == [] if not num_short else f"leave out {num_short} ordered" in cross.notes[0]
    else:
        assert bool(cross.streams) == can_supply(has, vars(config))


def test_small_sources_are_pooled_or_join_the_smallest_large_one():
    pooled = Mixed(sources_index({"big": 90, "mid": 40, "x": 6, "y": 7}), PlanConfig(batch_size=10)).pool
    assert [(info.sources, info.size) for info in pooled.streams] == [((0,), 90), ((1,), 40), ((2, 3), 13)]
    np.testing.assert_allclose(pooled.probabilities, np.array([90, 40, 13]) / 143, rtol=1e-12)
    joined = Mixed(sources_index({"big": 90, "mid": 40, "x": 2, "y": 3}), PlanConfig(batch_size=10)).pool
    assert [(info.sources, info.size) for info in joined.streams] == [((0,), 90), ((1, 2, 3), 45)]


def test_languages_are_alike_whatever_their_size():
    has = np.ones((100, 3), bool)
    has[20:, 1] = False
    mix = Mono(index_of(has, [("a", 50), ("b", 50)]), PlanConfig(batch_size=10)).pool
    by_lang = {
        lang: sum(p for s, p in zip(mix.streams, mix.probabilities, strict=True) if s.langs == (lang,))
        for lang in range(3)
    }
    assert list(by_lang.values()) == pytest.approx([1 / 3] * 3, abs=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_language_temperature(temperature):
    has = np.ones((100, 3), bool)
    has[20:, 1] = False
    has[60:, 2] = False
    index = index_of(has, [("a", 100)])
    weights = lang_weights(index, PlanConfig(lang_temperature=temperature))
    expected = np.array([100.0, 20.0, 60.0]) ** (1 / temperature)
    np.testing.assert_allclose(weights / weights.sum(), expected / expected.sum(), rtol=1e-12)


@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 0.01])
def test_a_very_small_temperature_is_the_largest_language_and_still_numbers(temperature):
    has = np.ones((1000, 3), bool)
    has[10:, 1] = False
    weights = lang_weights(index_of(has, [("a", 1000)]), PlanConfig(lang_temperature=temperature))
    assert np.isfinite(weights).all()
    assert weights[0] == weights[2] == 1
    assert 0 < weights[1] < 1e-9


def test_source_weights_take_the_place_of_sizes():
    index = sources_index({"a": 90, "b": 40, "c": 20})
    mix = Mixed(index, PlanConfig(batch_size=10, source_weights={"a": 1, "b": 3, "c": 0})).pool
    assert [info.sources for info in mix.streams] == [(0,), (1,)]
    np.testing.assert_allclose(mix.probabilities, [0.25, 0.75], rtol=1e-12)
    partly = Mixed(index, PlanConfig(batch_size=10, source_weights={"a": 40})).pool
    np.testing.assert_allclose(partly.probabilities, [0.4, 0.4, 0.2], rtol=1e-12)


def test_a_small_source_that_joins_does_not_undo_the_weight_of_the_one_it_joins():
    index = sources_index({"a": 9000, "b": 4000, "x": 3})
    mix = Mixed(index, PlanConfig(batch_size=10, source_weights={"a": 30, "b": 7})).pool
    assert [info.sources for info in mix.streams] == [(0,), (1, 2)]
    np.testing.assert_allclose(mix.probabilities, [0.75, 0.25], rtol=1e-12)


def test_a_source_of_weight_zero_is_as_if_it_were_not_there():
    has = np.ones((60, 3), bool)
    has[:30, 2] = False  # the third language is in the second source only
    index = index_of(has, [("a", 30), ("b", 30)])
    for pairs in ("mixed", "single"):
        config = PlanConfig(batch_size=5, source_weights={"b": 0}, pairs=pairs, lang_temperature=1.0)
        for mix in (Mono(index, config).pool, PAIRINGS[pairs](index, config).pool):
            assert mix.notes == []
            assert {s for info in mix.streams for s in info.sources} == {0}
    assert lang_weights(index, config).tolist() == [1, 1, 0]


def test_an_unknown_source_is_named_with_those_there_are():
    for pairing in (Mono, *PAIRINGS.values()):
        with pytest.raises(PlanError, match=r"plan\.source_weights\.b: the corpus has no such source; it has s"):
            _ = pairing(
                full_index(20, 2),
                PlanConfig(batch_size=6, source_weights={"b": 1}, anchor_lang=ANCHOR, partition=PARTITION),
            ).pool


@pytest.mark.parametrize("pairs", PAIRINGS)
def test_a_batch_looks_at_the_items_of_its_windows_alone(pairs, monkeypatch):
    """Whatever the number of row groups: a stream is made of counts, which are there."""
    index = full_index(4000, 4, group=20)
    config = PlanConfig(batch_size=12, pairs=pairs, shuffle_row_groups=3, anchor_lang=ANCHOR, partition=PARTITION)
    pairing = PAIRINGS[pairs](index, config)
    info = pairing.pool.streams[-1]
    looked = []
    for name in ("langs_in", "has_lang"):
        whole = getattr(ItemIndex, name)
        monkeypatch.setattr(
            ItemIndex,
            name,
            lambda self, group, *rest, whole=whole: (looked.append(group), whole(self, group, *rest))[1],
        )
    pairing.stream(info, 0).batch(3)
    assert len(set(looked)) == 3


def test_every_pairing_can_be_asked_for_and_has_a_number_of_its_own():
    assert set(get_args(get_type_hints(PlanConfig)["pairs"])) == set(PAIRINGS)
    assert len({pairing.number for pairing in (Mono, *PAIRINGS.values())}) == 1 + len(PAIRINGS)
