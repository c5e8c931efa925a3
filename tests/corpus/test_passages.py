from functools import partial

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.corpus.passages import (
    BOILERPLATE,
    DevRule,
    find_groups,
    hash_passages,
    join_groups,
    own_labels,
    read_labels,
)
from hbt_ray.corpus.rows import check_rows
from hbt_ray.corpus.shards import PartitionStats, drop_problems, text_hash

NUM_PARTS = 3


def row(id_, passage, lang="en", **more):
    return {"id": id_, "lang": lang, "source": "s", "question": "q", "passage": passage, "negatives": None, **more}


def grouped(rows, directory, *, buckets=2, ids=None, share=0.3, num_negatives=0):
    """((label, dev) of every item, the labels of partitions, counts), of rows in partitions."""
    parts, order = [], []
    dev = DevRule(None if ids is None else frozenset(ids), share)
    for part in range(NUM_PARTS):
        of_part = [one for one in rows if text_hash(one["id"]) % NUM_PARTS == part]
        if not of_part:
            continue
        table = check_rows(pa.Table.from_pylist(of_part))
        parts.append(hash_passages(partial(pa.table, table), part, str(directory), buckets, dev, num_negatives))
        kept = drop_problems(table, PartitionStats())["id"].to_pylist()
        order.append((part, list(dict.fromkeys(kept))))
    counts = join_groups((0,), str(directory), parts, buckets, ids is not None)
    labels = {part: read_labels(str(directory), part) for part, _ in order}
    found = {
        id_: (int(label), bool(is_dev))
        for part, names in order
        for id_, label, is_dev in zip(names, labels[part].items, labels[part].dev, strict=True)
    }
    return found, labels, counts


def groups_of(rows):
    """Sets of items that share a text, transitively, by a library."""
    by_text = {}
    for one in rows:
        by_text.setdefault(one["passage"], set()).add(one["id"])
    graph = nx.Graph()
    graph.add_nodes_from({one["id"] for one in rows})
    for ids in by_text.values():
        if len(ids) <= BOILERPLATE:
            nx.add_path(graph, sorted(ids))
    return list(nx.connected_components(graph))


@st.composite
def corpora(draw):
    """Items in up to three languages whose passages are often one text, within a language and across languages."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    num_items, num_texts = draw(st.integers(1, 40)), draw(st.integers(2, 120))
    return [
        row(f"i{item}", f"text {rng.integers(num_texts)}", lang)
        for item in range(num_items)
        for lang in rng.permutation(["en", "de", "hi"])[: rng.integers(1, 4)].tolist()
    ]


@given(corpora(), st.integers(1, 4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_items_that_share_a_text_have_one_label_and_one_split(tmp_path_factory, rows, buckets, by_ids):
    names = sorted({one["id"] for one in rows})
    named = names[::3] if by_ids else None
    found, _, counts = grouped(rows, tmp_path_factory.mktemp("work"), buckets=buckets, ids=named)
    expected = groups_of(rows)
    assert {frozenset(group) for group in expected} == {
        frozenset(id_ for id_ in names if found[id_] == value) for value in found.values()
    }
    large = [group for group in expected if len(group) > 1]
    assert (counts.num_groups, counts.num_items) == (len(large), sum(map(len, large)))
    assert counts.largest == max(map(len, large), default=0)
    assert not large or len(next(group for group in large if counts.largest_id in group)) == counts.largest
    own = dict(zip(names, own_labels(names).tolist(), strict=True))
    for group in expected:
        label, dev = found[next(iter(group))]
        assert label in {own[id_] for id_ in group}
        assert dev == (bool(group & set(named)) if by_ids else label < 0.3 * 2**64)
    moved = {id_ for id_ in names if found[id_][1]} - set(named or ())
    assert counts.num_dev_moved == (len(moved) if by_ids else 0)


def test_a_text_of_too_many_items_is_reported_and_joins_none(tmp_path):
    rows = [row(f"i{item}", "see above") for item in range(BOILERPLATE + 1)]
    rows += [row(f"j{item}", "a paragraph") for item in range(BOILERPLATE)]
    found, _, counts = grouped(rows, tmp_path)
    assert (counts.num_groups, counts.largest, counts.num_boilerplate) == (1, BOILERPLATE, 1)
    assert (counts.most_shared, counts.most_shared_id[0], counts.largest_id[0]) == (BOILERPLATE + 1, "i", "j")
    assert len({label for label, _ in found.values()}) == BOILERPLATE + 2
    assert len({found[f"j{item}"] for item in range(BOILERPLATE)}) == 1


def test_an_item_with_one_text_in_all_its_languages_is_no_group(tmp_path):
    _, _, counts = grouped([row("a", "same"), row("a", "same", "de"), row("b", "other")], tmp_path)
    assert (counts.num_groups, counts.num_items, counts.largest_id) == (0, 0, "")


def test_rows_that_are_left_out_join_nothing(tmp_path):
    rows = [row("a", "x"), row("a", "y"), row("b", "y"), row("b", "z", "tlh-unknown")]  # the second is a duplicate
    assert grouped(rows, tmp_path)[2].num_groups == 0


def test_hard_negatives_have_the_label_of_the_item_whose_passage_they_are(tmp_path):
    rows = [row("a", "pa"), row("b", "pb"), row("b", "pb-de", "de"), row("c", "pb")]
    rows += [row("d", "pd", negatives=["pa", "nobody's", "pb-de", "pb"])]
    found, labels, _ = grouped(rows, tmp_path, num_negatives=3)
    of_part = labels[text_hash("d") % NUM_PARTS]
    hashes = np.array([text_hash(text) for text in ("pa", "nobody's", "pb-de", "pb")], np.uint64)
    assert found["b"] == found["c"]
    assert of_part.of_texts(hashes).tolist() == [found["a"][0], 0, found["b"][0], 0]  # the fourth was not kept
    assert all(not len(part.negatives) for number, part in labels.items() if part is not of_part)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_group_is_dev_no_more_often_than_an_item(size):
    num = 4000
    labels = np.random.default_rng(0).integers(0, 2**64, num * size, dtype=np.uint64)
    items = np.arange(num * size).reshape(num, size)
    links = np.stack([np.repeat(items[:, 0], size), items.ravel()])
    members, group, leaders = find_groups(links, labels)
    if size == 1:
        assert len(members) == len(leaders) == 0
        return
    assert np.array_equal(members, np.arange(num * size))
    assert np.array_equal(np.bincount(group), np.full(num, size))
    share = (labels[leaders] < 0.1 * 2**64).mean()
    assert abs(share - 0.1) < 5 * (0.1 * 0.9 / num) ** 0.5
