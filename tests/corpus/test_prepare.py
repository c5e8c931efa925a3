import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.row_reader import RowReader
from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.manifest import MANIFEST, Corpus
from hbt_ray.corpus.prepare import COUNTS, prepare
from hbt_ray.corpus.tokens import RoleTokenizer
from hbt_ray.errors import CorpusError
from hbt_ray.reports.corpus_card import write_prepared_card
from tests.corpus.build import has_lang

pytestmark = pytest.mark.ray


def item_ids(corpus, split):
    """Ids of the items of a split, in the order of their numbers."""
    shards = [f"{corpus.directory}/{shard.name}" for shard in corpus.manifest.splits[split].shards]
    return [name for shard in shards for name in pq.read_table(shard, columns=["item_id"])["item_id"].to_pylist()]


def long_rows(num_items=30, langs=("en", "de", "zh_hant")):
    """Items with irregular coverage: item i lacks its language i % 4, where that exists."""
    return [
        {
            "id": f"item{i}",
            "lang": lang,
            "source": f"s{i % 2}",
            "question": f"{lang} {i}?",
            "passage": f"{lang} no. {i}",
        }
        for i in range(num_items)
        for number, lang in enumerate(langs)
        if number != i % 4
    ]


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def run(ray_session, small_base, tmp_path):
    """Prepares an input and returns (corpus, what was reported)."""

    def prepare_it(path, root="corpora", **settings):
        news = []
        config = CorpusConfig(input=str(path), **{"dev_share": 0.2, **settings})
        return prepare(config, small_base, str(tmp_path / root), report=news.append), news

    return prepare_it


def test_every_row_is_where_the_manifest_says(run, tmp_path, small_base):
    rows = long_rows()
    corpus, _ = run(write_parquet(tmp_path / "in.parquet", rows))
    tokenizer = RoleTokenizer(small_base, CorpusConfig())
    expected = {(row["id"], row["lang"].replace("zh_hant", "zh-Hant")): row for row in rows}
    seen = set()
    for split in ("train", "dev"):
        index = ItemIndex.of(corpus, split)
        reader = RowReader(corpus, index, split)
        ids = item_ids(corpus, split)
        items, langs = np.nonzero(has_lang(corpus, split))
        for role, column in (("query", "question"), ("passage", "passage")):
            values, lengths = reader.tokens(items, langs, role)
            wanted = [expected[ids[item], index.langs[lang]][column] for item, lang in zip(items, langs, strict=True)]
            wanted_values, wanted_lengths = tokenizer(wanted, role)
            assert np.array_equal(values, wanted_values)
            assert np.array_equal(lengths, wanted_lengths)
        seen |= {(ids[item], index.langs[lang]) for item, lang in zip(items, langs, strict=True)}
        for group, source in enumerate(index.group_source):
            numbers = np.arange(index.group_start[group], index.group_start[group + 1])
            assert {int(ids[number][4:]) % 2 for number in numbers} == {int(index.sources[source][1:])}
    assert seen == set(expected)


def test_preparing_twice_does_nothing_and_changes_are_noticed(run, tmp_path):
    path = write_parquet(tmp_path / "in.parquet", long_rows())
    first, _ = run(path)
    before = {file.name for file in first.files}
    again, news = run(path)
    assert again.directory == first.directory
    assert {file.name for file in again.files} == before
    assert "already prepared" in news[-1]
    write_parquet(path, long_rows(31))
    changed, news = run(path)
    assert changed.directory != first.directory
    assert any("another input" in line for line in news)
    _, news = run(path, query_prefix="Query: ")
    assert any("another tokenizer" in line for line in news)


def test_the_same_input_gives_the_same_shards_whatever_its_files(run, tmp_path):
    rows = long_rows()
    one, _ = run(write_parquet(tmp_path / "one.parquet", rows))
    many = tmp_path / "many"
    many.mkdir()
    for part, start in enumerate(range(0, len(rows), 17)):
        with (many / f"{part}.jsonl").open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in reversed(rows[start : start + 17]))
    other, _ = run(many, root="other")
    for split in ("train", "dev"):
        split_a, split_b = one.manifest.splits[split], other.manifest.splits[split]
        assert [s.sha256 for s in split_a.shards] == [s.sha256 for s in split_b.shards]
        assert split_a.coverage.sha256 == split_b.coverage.sha256


BAD_ROWS = {
    "unknown language code": {"id": "x", "lang": "klingonish", "question": "q", "passage": "p"},
    "empty question": {"id": "x", "lang": "en", "question": " ", "passage": "p"},
    "empty passage": {"id": "x", "lang": "en", "question": "q", "passage": None},
    "empty id": {"id": "", "lang": "en", "question": "q", "passage": "p"},
    "duplicate (id, lang)": {"id": "item1", "lang": "en", "source": "s1", "question": "again", "passage": "p"},
    "id with more than one source": {"id": "item1", "lang": "fr", "source": "z", "question": "q", "passage": "p"},
}


@pytest.mark.parametrize("mode", ["error", "skip"])
def test_unusable_rows_stop_with_one_line_or_are_counted(run, tmp_path, mode):
    path = write_parquet(tmp_path / "in.parquet", long_rows() + [{"source": "s1", **row} for row in BAD_ROWS.values()])
    if mode == "error":
        with pytest.raises(CorpusError) as caught:
            run(path)
        assert "\n" not in str(caught.value)
        for problem in BAD_ROWS:
            assert f"1 x {problem}" in str(caught.value)
        assert not list((tmp_path / "corpora").glob("*/*"))
    else:
        corpus, news = run(path, bad_rows="skip")
        assert corpus.manifest.skipped == dict.fromkeys(sorted(BAD_ROWS), 1)
        assert sum("left out 1 rows" in line for line in news) == len(BAD_ROWS)


def test_a_malformed_line_is_named(run, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in long_rows(3)) + '{"id": "x"\n')
    with pytest.raises(CorpusError, match=re.escape(f"{path} line {len(long_rows(3)) + 1}: not valid JSON")):
        run(path)
    assert not list((tmp_path / "corpora").glob("*/*"))


def test_dev_ids_and_languages(run, tmp_path):
    path = write_parquet(tmp_path / "in.parquet", long_rows())
    (tmp_path / "dev.txt").write_text("item3\nitem7\n")
    corpus, _ = run(path, dev_ids=str(tmp_path / "dev.txt"), langs=("en", "zh-Hant"))
    assert corpus.manifest.langs == ("en", "zh-Hant")
    assert sorted(item_ids(corpus, "dev")) == ["item3", "item7"]
    assert corpus.manifest.skipped["language not in corpus.langs"] == sum(row["lang"] == "de" for row in long_rows())


def test_items_that_share_a_passage_in_some_language_are_a_group_in_one_split(run, tmp_path):
    rows = [{**row, "negatives": ["never"]} for row in long_rows(60)]
    for row in rows:
        item = int(row["id"][4:])
        if row["lang"] == "de":  # five questions a paragraph, but the other languages tell them apart
            row["passage"] = f"Absatz {item // 5}"
    corpus, news = run(write_parquet(tmp_path / "in.parquet", rows), num_negatives=1)
    counts, labels, split_of = corpus.manifest.groups, {}, {}
    for split in ("train", "dev"):
        index = ItemIndex.of(corpus, split)
        names = item_ids(corpus, split)
        groups = RowReader(corpus, index, split).groups(np.arange(len(names)))
        labels |= dict(zip(names, groups.tolist(), strict=True))
        split_of |= dict.fromkeys(names, split)
    has_german = {row["id"] for row in rows if row["lang"] == "de"}
    by_paragraph = {n: [f"item{i}" for i in range(5 * n, 5 * n + 5) if f"item{i}" in has_german] for n in range(12)}
    for members in by_paragraph.values():
        assert len({labels[id_] for id_ in members}) == len({split_of[id_] for id_ in members}) == 1
    assert len(set(labels.values())) == 60 - len(has_german) + 12
    assert (counts.num_groups, counts.num_items) == (12, len(has_german))
    assert counts.largest == max(map(len, by_paragraph.values()))
    assert any(f"{len(has_german)} items share passages in 12 groups" in line for line in news)
    (tmp_path / "dev.txt").write_text("item0\n")
    named, news = run(tmp_path / "in.parquet", dev_ids=str(tmp_path / "dev.txt"))
    assert set(item_ids(named, "dev")) == {"item0", *by_paragraph[0]}
    assert any(f"{len(set(by_paragraph[0]) - {'item0'})} items share a passage" in line for line in news)


def test_a_directory_without_its_manifest_is_no_corpus(run, tmp_path):
    corpus, _ = run(write_parquet(tmp_path / "in.parquet", long_rows()))
    fresh = tmp_path / "half"
    fresh.mkdir()
    for file in corpus.files:
        (fresh / file.name).write_bytes((tmp_path / "corpora" / corpus.directory / file.name).read_bytes())
    with pytest.raises(CorpusError, match=f"no {MANIFEST}"):
        Corpus.open(str(fresh))


def test_hard_negatives_are_kept_where_they_are_asked_for(run, tmp_path, small_base):
    rows = [{**row, "negatives": [f"not {row['passage']}", "never"]} for row in long_rows()]
    path = write_parquet(tmp_path / "in.parquet", rows)
    without, _ = run(path)
    plain, _ = run(write_parquet(tmp_path / "plain.parquet", long_rows()))
    assert [s.sha256 for s in without.manifest.splits["train"].shards] == [
        s.sha256 for s in plain.manifest.splits["train"].shards
    ]
    corpus, news = run(path, num_negatives=1)
    assert corpus.directory != without.directory
    assert any("another hard negatives" in line for line in news)
    tokenizer = RoleTokenizer(small_base, CorpusConfig())
    for shard in corpus.manifest.splits["train"].shards:
        for row in pq.read_table(f"{corpus.directory}/{shard.name}").to_pylist():
            for lang, code in (("en", "en"), ("de", "de"), ("zh-Hant", "zh_hant")):
                if row[f"query_{lang}"] is None:
                    assert row[f"negative_{lang}"] is None
                else:
                    wanted, _ = tokenizer([f"not {code} no. {row['item_id'][4:]}"], "passage")
                    assert row[f"negative_{lang}"] == [wanted.tolist()]
                    assert len(row[f"negative_hash_{lang}"]) == 1


def test_a_card_is_written_beside_the_shards(run, tmp_path):
    corpus, _ = run(write_parquet(tmp_path / "in.parquet", long_rows()))
    write_prepared_card(corpus)
    card = json.loads(Path(corpus.directory, "card.json").read_text())
    has = np.concatenate([has_lang(corpus, split) for split in ("train", "dev")]).astype(int)
    assert card["coverage"] == (has.T @ has).tolist()
    assert [row["lang"] for row in card["langs"]] == list(corpus.manifest.langs)
    assert sum(row["items"] for row in card["sources"]) == card["items"] == 30
    for row in card["langs"]:
        assert row["tokens_per_char"] > 0
        assert (row["tokens_per_word"] is None) == (row["lang"] == "zh-Hant")
    assert {path.name for path in Path(corpus.directory).iterdir()} == {
        "card.html", "card.json", "card.md", COUNTS, MANIFEST, *(file.name for file in corpus.files),
    }  # fmt: skip


@pytest.mark.data
def test_real_corpus(run, real_data):
    corpus, news = run(
        real_data / "train_parallel_qa",
        dev_ids=str(real_data / "train_parallel_qa" / "dev_ids.txt"),
        langs=("en", "ar", "sw", "zh-hant"),
    )
    table = pq.read_table(real_data / "train_parallel_qa" / "alignment.parquet").to_pylist()
    for code, name in (("en", "en"), ("ar", "ar"), ("sw", "sw"), ("zh-hant", "zh-Hant")):
        have = sum(code in row["langs"] for row in table)
        assert have == sum(split.items_per_lang[name] for split in corpus.manifest.splits.values())
    assert any("alignment.parquet" in line for line in news)
