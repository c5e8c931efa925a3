import io
import pickle
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.corpus import shards
from hbt_ray.corpus.rows import DUPLICATE, TWO_SOURCES, check_rows
from hbt_ray.corpus.shards import Labels, PartitionStats, coverage, drop_problems, text_hash, widen, write_shard
from tests.corpus.build import long_rows, own_groups, tokenise

LANGS = ["de", "en", "hi", "th"]


def dropped(rows):
    stats = PartitionStats()
    return drop_problems(check_rows(pa.Table.from_pylist(rows)), stats), stats


long = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from([f"i{i}" for i in range(6)]),
            "lang": st.sampled_from(["en", "de", "hi", "english"]),
            "source": st.sampled_from(["a", "b"]),
            "question": st.sampled_from(["q", "q2", ""]),
            "passage": st.sampled_from(["p", "p2"]),
        }
    ),
    min_size=1,
    max_size=25,
)


@given(long, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_what_is_kept_and_counted_does_not_depend_on_the_order_of_rows(rows, random):
    table, stats = dropped(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    again, stats_again = dropped(shuffled)
    assert table.to_pylist() == again.to_pylist()
    assert stats == stats_again
    assert sum(stats.skipped.values()) + table.num_rows == len(rows)
    assert set(stats.examples) == set(stats.skipped)
    kept = table.to_pylist()
    assert len({(row["id"], row["lang"]) for row in kept}) == len(kept)
    sources = {}
    for row in kept:
        assert sources.setdefault(row["id"], row["source"]) == row["source"]
    good = {row["id"] for row in rows if row["question"] and row["lang"] != "english"}
    assert {row["id"] for row in kept} == good  # an item is never dropped whole
    assert kept == sorted(kept, key=lambda row: (row["source"], text_hash(row["id"]), row["id"], row["lang"]))


def test_problems_are_counted_with_the_first_example():
    row = {"id": "a", "lang": "en", "source": "s", "question": "q", "passage": "p"}
    table, stats = dropped(
        [
            row,
            {**row, "passage": "again"},
            {**row, "lang": "de"},
            {**row, "lang": "hi", "source": "t"},
            {**row, "id": "c", "question": ""},
            {**row, "id": "b", "question": ""},
        ]
    )
    assert [(r["id"], r["lang"], r["passage"]) for r in table.to_pylist()] == [("a", "de", "p"), ("a", "en", "again")]
    assert stats.skipped == {DUPLICATE: 1, TWO_SOURCES: 1, "empty question": 2}
    assert stats.examples["empty question"] == "id b, lang en"
    assert stats.examples[TWO_SOURCES] == "id a, lang hi"


@pytest.mark.parametrize("seed", range(5))
def test_widening_against_plain_python(seed):
    rows = long_rows(40, LANGS, ("a", "b"), seed=seed)
    table, stats = dropped(rows)
    wide = widen(table, LANGS, tokenise, stats, own_groups(table))
    by_item = {}
    for row in rows:
        by_item.setdefault(row["id"], {})[row["lang"]] = row
    items = wide.to_pylist()
    assert sorted(row["item_id"] for row in items) == sorted(by_item)
    for row in items:
        langs = by_item[row["item_id"]]
        one = next(iter(langs.values()))
        assert (row["source"], row["weight"]) == (one["source"], one["weight"])
        for code in LANGS:
            if code not in langs:
                assert row[f"query_{code}"] is row[f"passage_{code}"] is row[f"hash_{code}"] is None
                continue
            text = langs[code]
            assert row[f"query_{code}"] == tokenise([text["question"]], "query")[0].tolist()
            assert row[f"passage_{code}"] == tokenise([text["passage"]], "passage")[0].tolist()
            assert row[f"hash_{code}"] % 2**64 == text_hash(text["passage"])
    expected = [[code in by_item[row["item_id"]] for code in LANGS] for row in items]
    np.testing.assert_array_equal(coverage(wide, LANGS), expected)
    for code in LANGS:
        of_lang = [langs[code] for langs in by_item.values() if code in langs]
        assert stats.query_tokens[code] == Counter(len(row["question"]) + 1 for row in of_lang)
        assert stats.passage_tokens[code] == Counter(len(row["passage"]) + 1 for row in of_lang)


def test_the_weight_of_an_item_is_the_mean_of_its_rows_and_equal_passages_have_equal_hashes():
    row = {"id": "a", "lang": "en", "source": "s", "question": "q", "passage": "same", "weight": 1.0}
    table, stats = dropped([row, {**row, "lang": "de", "weight": 4.0}, {**row, "id": "b", "weight": 0.5}])
    wide = widen(table, ["de", "en", "hi"], tokenise, stats, own_groups(table))
    assert dict(zip(wide["item_id"].to_pylist(), wide["weight"].to_pylist(), strict=True)) == {"a": 2.5, "b": 0.5}
    hashes = {row[f"hash_{code}"] for row in wide.to_pylist() for code in ("de", "en")} - {None}
    assert len(hashes) == 1
    assert wide["hash_hi"].null_count == wide.num_rows


def test_very_long_texts_are_counted_as_long_as_they_are():
    row = {"id": "a", "lang": "en", "source": "s", "question": "q", "passage": "x" * 8191}
    table, stats = dropped([row])
    widen(table, ["en"], tokenise, stats, own_groups(table))
    assert stats.passage_tokens["en"] == {8192: 1}


@pytest.mark.parametrize("num_items", [1, 63, 64, 65, 500])
def test_row_groups_hold_one_source_and_bytes_are_the_same_twice(num_items, monkeypatch):
    monkeypatch.setattr(shards, "MAX_ROW_GROUP", 64)
    table, stats = dropped(long_rows(num_items, LANGS, ("a", "b", "c")))
    wide = widen(table, LANGS, tokenise, stats, own_groups(table))
    buffers = [io.BytesIO(), io.BytesIO()]
    groups = [write_shard(wide, buffer) for buffer in buffers]
    assert groups[0] == groups[1]
    assert buffers[0].getvalue() == buffers[1].getvalue()
    file = pq.ParquetFile(buffers[0])
    assert file.num_row_groups == len(groups[0])
    for number, (source, num) in enumerate(groups[0]):
        group = file.read_row_group(number)
        assert group["source"].unique().to_pylist() == [source]
        assert group.num_rows == num <= 64
    assert file.read().to_pylist() == wide.to_pylist()


def test_row_groups_of_long_rows_are_smaller():
    def largest(length):
        rows = [
            {"id": f"i{i}", "lang": "en", "source": "s", "question": "q", "passage": "x" * length} for i in range(600)
        ]
        table, stats = dropped(rows)
        return max(
            num for _, num in write_shard(widen(table, ["en"], tokenise, stats, own_groups(table)), io.BytesIO())
        )

    assert largest(10) == 600
    assert shards.MIN_ROW_GROUP <= largest(5000) < 300


def test_stats_add_up():
    one, two = PartitionStats(), PartitionStats()
    one.skip("x", 2, "id b")
    two.skip("x", 3, "id a")
    two.skip("y", 1, "id z")
    one.query_tokens["en"] = Counter({3: 1, 4: 2})
    two.query_tokens["en"] = Counter({4: 5})
    two.passage_tokens["de"] = Counter({9: 1})
    one.add(pickle.loads(pickle.dumps(two)))  # as they come from a task
    assert one.skipped == {"x": 5, "y": 1}
    assert one.examples == {"x": "id a", "y": "id z"}
    assert one.query_tokens == {"en": {3: 1, 4: 7}}
    assert one.passage_tokens == {"de": {9: 1}}


def test_hashes_are_the_same_everywhere():
    assert text_hash("Wann fährt die Fähre?") == 0x381B896BEF25CCF8
    assert text_hash("") == 0xB4B2797457A0A6E4


def test_hard_negatives_are_token_ids_and_hashes_of_the_first(tmp_path):
    rows = [
        {"id": "a", "lang": "en", "question": "q", "passage": "p", "negatives": ["x", "yy", "zzz"]},
        {"id": "a", "lang": "de", "question": "q", "passage": "p", "negatives": None},
        {"id": "b", "lang": "en", "question": "q", "passage": "p", "negatives": ["w"]},
        {"id": "c", "lang": "de", "question": "q", "passage": "p", "negatives": []},
    ]
    table, stats = dropped(rows)
    assert "negative_en" not in widen(table, ["de", "en"], tokenise, stats, own_groups(table)).column_names
    wide = widen(table, ["de", "en"], tokenise, stats, own_groups(table), num_negatives=2)
    buffer = io.BytesIO()
    write_shard(wide, buffer)
    items = {row["item_id"]: row for row in pq.read_table(buffer).to_pylist()}

    def expected(*texts):
        return [[9, *map(ord, text)] for text in texts]

    def hashes(*texts):
        return np.array([text_hash(text) for text in texts], np.uint64).view(np.int64).tolist()

    assert {id_: row["negative_en"] for id_, row in items.items()} == {
        "a": expected("x", "yy"), "b": expected("w"), "c": None,
    }  # fmt: skip
    assert {id_: row["negative_de"] for id_, row in items.items()} == {"a": [], "b": None, "c": []}
    assert items["a"]["negative_hash_en"] == hashes("x", "yy")
    assert items["a"]["negative_group_en"] == [0, 0]
    assert items["c"]["negative_group_en"] is None
    assert items["c"]["negative_hash_en"] is None
    assert items["c"]["negative_hash_de"] == []


def test_a_hard_negative_has_the_label_of_its_translations_where_they_are_as_many():
    rows = [
        {"id": "a", "lang": "en", "question": "q", "passage": "p", "negatives": ["x", "y", "z"]},
        {"id": "a", "lang": "de", "question": "q", "passage": "p", "negatives": ["x-de", "y-de", "z-de"]},
        {"id": "b", "lang": "en", "question": "q", "passage": "p", "negatives": ["x"]},
        {"id": "b", "lang": "de", "question": "q", "passage": "p", "negatives": ["u-de", "x-de"]},
        {"id": "c", "lang": "de", "question": "q", "passage": "p", "negatives": ["z-de"]},
    ]
    table, stats = dropped(rows)
    known = {"x": 5, "y-de": 6, "z": 7, "z-de": 8}
    hashes, labels = zip(*sorted((text_hash(text), label) for text, label in known.items()), strict=True)
    own = own_groups(table)
    found = Labels(own.items, own.dev, np.array(hashes, np.uint64), np.array(labels, np.uint64))
    wide = widen(table, ["de", "en"], tokenise, stats, found, num_negatives=3)
    items = {row["item_id"]: row for row in wide.to_pylist()}
    assert (items["a"]["negative_group_en"], items["a"]["negative_group_de"]) == ([5, 6, 7], [5, 6, 8])
    assert (items["b"]["negative_group_en"], items["b"]["negative_group_de"]) == ([5], [0, 0])
    assert (items["c"]["negative_group_en"], items["c"]["negative_group_de"]) == (None, [8])


def test_tokens_words_and_characters_are_counted_of_texts_that_are_not_cut():
    rows = [
        {"id": "a", "lang": "en", "question": "ab cd", "passage": "x" * 20},
        {"id": "b", "lang": "en", "question": "é", "passage": "one  two"},
    ]
    table, stats = dropped(rows)
    widen(table, ["en"], tokenise, stats, own_groups(table), limits={"query": 100, "passage": 20})
    chars = len("ab cd") + 1 + len("one  two")
    assert stats.whole == {"en": {"tokens": chars, "words": 5, "chars": chars}}  # a token a character, one of the role
    stats.add(stats)
    assert stats.whole["en"]["words"] == 10
