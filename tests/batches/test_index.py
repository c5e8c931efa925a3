import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from hbt_ray.batches.index import ItemIndex
from tests.batches.cases import coverage, index_of, indexes, item_sources


@given(indexes())
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_the_items(index):
    has, group = coverage(index), index.group_of(np.arange(index.num_items))
    for number in range(len(index.group_start) - 1):
        mine = has[group == number]
        np.testing.assert_array_equal(index.lang_counts[number], mine.sum(axis=0))
        assert index.pool_counts[number] == (mine.sum(axis=1) >= 2).sum()
        np.testing.assert_array_equal(index.langs_in(number), mine)
        for lang in range(len(index.langs)):
            np.testing.assert_array_equal(index.has_lang(number, lang), mine[:, lang])


@given(indexes())
@settings(max_examples=40, deadline=None)
def test_items_of_a_pair_are_counted_in_every_row_group(index):
    has, group, counts = coverage(index), index.group_of(np.arange(index.num_items)), index.pair_counts()
    numbers = []
    for a, b in itertools.combinations(range(len(index.langs)), 2):
        numbers.append(index.pair_number(a, b))
        assert index.pair_number(b, a) == numbers[-1]
        both = np.bincount(group[has[:, a] & has[:, b]], minlength=len(index.group_source))
        np.testing.assert_array_equal(counts[numbers[-1]], both)
    assert numbers == list(range(len(counts)))


def test_row_groups_of_several_shards():
    has = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [1, 1]], bool)
    shards = [[("b", 2)], [("a", 1), ("b", 2)]]
    index = ItemIndex(("de", "en"), shards, np.packbits(has, axis=1))
    assert index.sources == ("a", "b")
    assert index.group_shard.tolist() == [0, 1, 1]
    assert index.group_row_group.tolist() == [0, 0, 1]
    assert item_sources(index).tolist() == [1, 1, 0, 1, 1]
    assert index.group_of(np.array([4, 0, 2, 1])).tolist() == [2, 0, 1, 0]
    np.testing.assert_array_equal(index.langs_of(np.array([3, 1])), has[[3, 1]])


def test_more_than_eight_languages_are_packed():
    has = np.random.default_rng(0).random((20, 19)) < 0.5
    index = ItemIndex([f"l{i}" for i in range(19)], [[("s", 20)]], np.packbits(has, axis=1))
    np.testing.assert_array_equal(coverage(index), has)


def test_row_groups_and_coverage_must_have_the_same_number_of_items():
    with pytest.raises(ValueError, match="3 items in the row groups, 4 rows of coverage"):
        index_of(np.ones((4, 2), bool), [("s", 3)])
