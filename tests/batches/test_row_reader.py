import numpy as np
import pyarrow.parquet as pq
import pytest

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.plan import BatchPlan
from hbt_ray.batches.row_reader import RowReader
from hbt_ray.batches.slices import ARRAYS
from hbt_ray.config import PlanConfig
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.corpus.passages import own_labels
from hbt_ray.corpus.shards import text_hash
from hbt_ray.errors import CorpusError
from tests.batches.compare import assert_same
from tests.batches.conftest import Written
from tests.corpus.build import long_rows, tokenise, write_corpus

NUM_STEPS = 24


@pytest.fixture(scope="module")
def index(written):
    return ItemIndex.of(written.corpus)


@pytest.fixture(scope="module")
def plan(index):
    return BatchPlan(index, PlanConfig(batch_size=12, shuffle_row_groups=2), seed=5, num_steps=NUM_STEPS)


def test_the_index_is_that_of_the_rows(written, index):
    assert index.num_items == len(written.ids)
    assert index.sources == ("a", "b", "c")
    assert len(index.group_start) > 15  # small row groups, or the tests below show little
    has = index.langs_of(np.arange(index.num_items))
    found = {(written.ids[item], index.langs[lang]) for item, lang in np.argwhere(has)}
    assert found == set(written.row)


@pytest.mark.parametrize("cache_bytes", [1 << 20, 1])
def test_a_slice_holds_the_texts_that_the_plan_names(written, index, plan, cache_bytes):
    reader = RowReader(written.corpus, index, cache_bytes=cache_bytes)
    for number in range(NUM_STEPS):
        step = plan.step(number)
        part = reader.slice(step)
        np.testing.assert_array_equal(part.items, step.items)
        queries, passages = (
            [written.text(item, lang, name) for item, lang in zip(step.items, langs, strict=True)]
            for name, langs in (("question", step.query_langs), ("passage", step.passage_langs))
        )
        for values, lengths, texts, role in (
            (part.query_values, part.query_lengths, queries, "query"),
            (part.passage_values, part.passage_lengths, passages, "passage"),
        ):
            for found, expected in zip((values, lengths), tokenise(texts, role), strict=True):
                assert found.dtype == np.int32
                np.testing.assert_array_equal(found, expected)
        assert part.passage_hashes.view(np.uint64).tolist() == [text_hash(text) for text in passages]
        weights = [written.text(item, lang, "weight") for item, lang in zip(step.items, step.query_langs, strict=True)]
        assert part.weights.tolist() == weights
        assert part.groups.view(np.uint64).tolist() == own_labels([written.ids[item] for item in step.items]).tolist()


@pytest.mark.parametrize("num_negatives", [0, 2])
def test_hard_negatives_are_in_the_language_of_the_passage(tmp_path, monkeypatch, num_negatives):
    written = Written(tmp_path, monkeypatch, num_negatives)
    index = ItemIndex.of(written.corpus)
    plan = BatchPlan(index, PlanConfig(batch_size=12), seed=5, num_steps=NUM_STEPS)
    reader, counts = RowReader(written.corpus, index), set()
    for number in range(NUM_STEPS):
        part = reader.slice(plan.step(number))
        assert len(part.negative_lengths) == len(part.negative_hashes) == len(part) * num_negatives
        assert part.negative_groups.tolist() == [0] * len(part.negative_hashes)
        lengths, hashes, texts = [], [], []
        for item, lang in zip(part.items, part.passage_langs, strict=True):
            own = written.text(item, lang, "negatives")[:num_negatives]
            counts.add(len(own))
            texts += own
            lengths += [1 + len(text) for text in own] + [0] * (num_negatives - len(own))
            hashes += [text_hash(text) for text in own] + [0] * (num_negatives - len(own))
        assert part.negative_lengths.tolist() == lengths
        assert part.negative_hashes.view(np.uint64).tolist() == hashes
        np.testing.assert_array_equal(part.negative_values, tokenise(texts, "passage")[0])
    assert counts == set(range(num_negatives + 1))


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_the_slices_of_all_ranks_are_the_global_batch(written, index, plan, world_size):
    reader = RowReader(written.corpus, index)
    for number in range(NUM_STEPS):
        step = plan.step(number)
        whole, parts = reader.slice(step), [reader.slice(step, rank, world_size) for rank in range(world_size)]
        for name in ARRAYS:
            joined = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(joined, getattr(whole, name))
        assert [part.rank for part in parts] == list(range(world_size))


def test_rows_that_cannot_be_shared_out_equally_are_not_dropped(written, index, plan):
    with pytest.raises(AssertionError, match="12 rows cannot be shared out equally among 5 workers"):
        RowReader(written.corpus, index).slice(plan.step(0), 0, 5)


def columns_of(index, step):
    """(row group, column) that a step needs."""
    groups = index.group_of(step.items).tolist()
    for group, query, passage in zip(groups, step.query_langs, step.passage_langs, strict=True):
        names = (f"query_{index.langs[query]}", f"passage_{index.langs[passage]}", f"hash_{index.langs[passage]}")
        yield from ((group, name) for name in (*names, "weight", "group"))


def test_what_is_read_is_the_columns_that_the_steps_name_and_nothing_before_them(written, index, plan):
    reader, start = RowReader(written.corpus, index), NUM_STEPS - 3
    steps = [plan.step(number) for number in range(start, NUM_STEPS)]
    for step in steps:
        reader.slice(step)
    expected = 0
    for group, name in {pair for step in steps for pair in columns_of(index, step)}:
        shard = written.corpus.manifest.splits["train"].shards[index.group_shard[group]]
        file = pq.ParquetFile(f"{written.corpus.directory}/{shard.name}")
        column = file.read_row_group(int(index.group_row_group[group]), columns=[name])[name].to_pylist()
        if name == "weight":
            expected += 4 * len(column)
        elif name == "group" or name.startswith("hash"):
            expected += 8 * len(column)
        else:
            expected += 4 * (len(column) + 1 + sum(len(row) for row in column if row is not None))
    assert reader.num_bytes_read == expected


def test_the_cache_changes_nothing_but_the_reading(written, index, plan):
    wide, narrow = RowReader(written.corpus, index), RowReader(written.corpus, index, cache_bytes=3000)
    for number in (5, 2, 20, 2):
        assert_same(wide.slice(plan.step(number)), narrow.slice(plan.step(number)))
    assert narrow.num_bytes_read > wide.num_bytes_read


def test_a_shard_that_was_damaged_is_named(tmp_path, monkeypatch):
    corpus = write_corpus(tmp_path, long_rows(30, ("de", "en")), num_shards=1, monkeypatch=monkeypatch)
    index = ItemIndex.of(Corpus.open(str(tmp_path)))
    data = (tmp_path / "train-00000.parquet").read_bytes()
    for damaged in (data[:-20], b"x" * len(data)):
        (tmp_path / "train-00000.parquet").write_bytes(damaged)
        with pytest.raises(CorpusError, match=r"train-00000\.parquet cannot be read .*prepare again"):
            RowReader(corpus, index).weights(np.arange(5))
    (tmp_path / "train-00000.parquet").unlink()
    with pytest.raises(CorpusError, match=r"train-00000\.parquet cannot be read"):
        RowReader(corpus, index).weights(np.arange(5))
