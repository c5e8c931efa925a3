"""Rows, shards and plans without Ray; the translator is one that shouts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.corpus.inputs import find_inputs
from hbt_ray.corpus.shards import text_hash
from hbt_ray.errors import ConfigError
from hbt_ray.finished import MADE_FROM, made_otherwise
from hbt_ray.translation.pending import ShardStats, chunks, to_translate, translate_rows, without
from hbt_ray.translation.pipeline import Meter, duration
from hbt_ray.translation.store import METADATA, TranslationStore, reuse
from hbt_ray.translation.survey import Chunk, Wanted, survey_unit
from hbt_ray.translation.translator import Translations


class Shouter:
    """Upper case; silent where a text says so."""

    def __call__(self, texts, lang):
        done = ["" if text == "silent" else f"{lang} {text.upper()}" for text in texts]
        return Translations(done, [int("cut" in text) for text in texts], len(texts), 2 * len(texts))


def rows(*ids, lang="en", **columns):
    table = {"id": list(ids), "lang": [lang] * len(ids)}
    table |= {"question": [f" q{id_}? " for id_ in ids], "passage": [f"p {id_}" for id_ in ids], **columns}
    return pa.table(table)


WANTED = Wanted("en", {"de": "model-a", "zh": "model-a"}, "settings", 2, True)


def shout(table, negatives=True):
    return translate_rows(table, Shouter(), "de", source_lang="en", name="ct2:m", negatives=negatives)


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), max_size=8), st.integers(1, 6))
def test_chunks_are_the_rows_in_order(sizes, num_rows):
    starts = np.cumsum([0, *sizes])
    tables = [pa.table({"n": pa.array(range(a, a + size), pa.int64())}) for a, size in zip(starts, sizes, strict=False)]
    found = list(chunks(tables, num_rows))
    assert [n for table in found for n in table["n"].to_pylist()] == list(range(sum(sizes)))
    assert all(table.num_rows == num_rows for table in found[:-1])


def test_rows_keep_what_is_not_text():
    table = rows("a", "b", source=["s", None], weight=[2.0, None], negatives=[["n1", "silent", "n2"], None])
    out, stats = shout(table)
    assert out.to_pylist() == [
        {
            "id": "a", "lang": "de", "question": "de QA?", "passage": "de P A", "source": "s", "weight": 2.0,
            "negatives": ["de N1", "de N2"], "translated_from": "en", "translator": "ct2:m", "num_cut": 0,
        },
        {
            "id": "b", "lang": "de", "question": "de QB?", "passage": "de P B", "source": None, "weight": None,
            "negatives": None, "translated_from": "en", "translator": "ct2:m", "num_cut": 0,
        },
    ]  # fmt: skip
    assert (stats.num_rows, stats.num_tokens) == (2, 7)
    out, stats = shout(table, negatives=False)
    assert out["negatives"].to_pylist() == [None, None]
    assert stats.num_tokens == 4
    out, _ = shout(rows("a"))
    assert "negatives" not in out.column_names


def test_rows_that_became_empty_are_left_out_and_counted():
    table = rows("a", "b", "c").set_column(3, "passage", pa.array(["silent", "cut", "x"]))
    out, stats = shout(table)
    assert out["id"].to_pylist() == ["b", "c"]
    assert out["num_cut"].to_pylist() == [1, 0]
    assert (stats.num_rows, stats.num_empty, stats.num_cut) == (2, 1, 1)


def test_what_is_translated():
    table = pa.concat_tables([rows("a", " b "), rows("c", lang="eng"), rows("d", lang="fr"), rows("", "e")])
    usable = to_translate(table, "en")
    assert usable["id"].to_pylist() == ["a", " b ", "c", "e"]
    known = np.array(sorted([text_hash("b"), text_hash("zzz")]), np.uint64)
    assert without(usable, known)["id"].to_pylist() == ["a", "c", "e"]


def write_input(path, *tables):
    for number, table in enumerate(tables):
        pq.write_table(table, path / f"{number}.parquet")
    return find_inputs(str(path)).units


def test_a_survey_names_and_counts(tmp_path):
    first = pa.concat_tables([rows("a", "b", "c"), rows("a", lang="de"), rows("", "")])
    (unit,) = write_input(tmp_path, first)
    found = survey_unit(0, unit, WANTED, {})
    assert found.langs == Counter(en=3, de=1)
    assert found.problems == Counter({"empty id": 2})
    assert found.known.keys() == {"de"}
    assert [(c.number, c.lang, c.num_rows) for c in found.chunks] == [
        (0, "original", 2), (0, "de", 2), (0, "zh", 2), (1, "original", 2), (1, "de", 1), (1, "zh", 1),
        (2, "original", 2),
    ]  # fmt: skip
    again = survey_unit(0, unit, WANTED, found.known)
    changed = [a for a, b in zip(again.chunks, found.chunks, strict=True) if a != b]
    assert [(c.number, c.lang, c.num_rows) for c in changed] == [(0, "de", 1)]  # a is there in German


def test_names_of_shards_say_what_they_are_made_of(tmp_path):
    (unit,) = write_input(tmp_path, rows("a", "b", "c"))

    def names(wanted=WANTED, number=0):
        return {chunk.lang + str(chunk.number): chunk.name for chunk in survey_unit(number, unit, wanted, {}).chunks}

    first = names()
    assert names() == first
    assert len(set(first.values())) == len(first) == 6
    other_model = names(Wanted("en", {"de": "model-b", "zh": "model-a"}, "settings", 2, True))
    assert {key for key in first if first[key] != other_model[key]} == {"de0", "de1"}
    other_settings = names(Wanted("en", WANTED.models, "other", 2, True))
    assert {key for key in first if first[key] != other_settings[key]} == {"de0", "de1", "zh0", "zh1"}
    assert {name.split("-")[2] for name in names(number=7).values()} == {n.split("-")[2] for n in first.values()}


def langs_of(store):
    """Languages whose rows readers of a directory see."""
    return sorted(path.name for path in Path(store.directory).iterdir() if path.is_dir() and path.name[0] != "_")


def test_a_store_shows_whole_languages_only(tmp_path):
    store = TranslationStore(str(tmp_path / "in-1"))
    store.begin({"input": "1"}, {"de": "model"})
    table, stats = shout(rows("a", "b"))
    store.write("de", "00000-00000-aa.parquet", table, stats)
    assert store.shards("de") == {"00000-00000-aa.parquet": stats}
    assert store.known("de", "00000-00000-aa.parquet") == stats
    assert langs_of(store) == []
    with pytest.raises(ValueError, match="no files ending in"):
        find_inputs(store.directory)
    (tmp_path / "in-1" / "_de" / "00000-00001-bb.parquet").write_bytes(b"PAR1 cut off")
    (tmp_path / "in-1" / "_de" / "00000-00001-bb.parquet.12.part").write_bytes(b"x")
    assert store.known("de", "00000-00001-bb.parquet") is None
    store.show("de")
    assert list(store.shards("de")) == ["00000-00000-aa.parquet"]
    assert store.remove_damaged("de") == 1
    assert langs_of(store) == ["de"]
    assert len(find_inputs(store.directory).units) == 1
    store.hide("de")
    assert langs_of(store) == []
    store.write("de", "00000-00001-cc.parquet", table, stats)
    store.show("de")
    assert sorted(store.shards("de")) == ["00000-00000-aa.parquet", "00000-00001-cc.parquet"]
    assert [path.name for path in (tmp_path / "in-1").rglob("*.part")] == []
    store.begin({"input": "1"}, {"zh": "model"})
    with pytest.raises(ConfigError, match=r"has de by other weights of the same model: remove the directory"):
        store.begin({"input": "1"}, {"de": "other"})


def test_only_damaged_shards_are_removed(tmp_path, monkeypatch):
    store = TranslationStore(str(tmp_path / "in-1"))
    table, stats = shout(rows("a"))
    store.write("de", "whole.parquet", table, stats)
    place = tmp_path / "in-1" / "_de"
    whole = (place / "whole.parquet").read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    damaged = {
        "empty": b"",
        "cut": whole[:-20],
        "footer": whole[: -8 - length] + b"\xff" * length + whole[-8:],
        "footer-length": whole[:-8] + b"\xff\xff\xff\x7f" + whole[-4:],
    }
    for name, data in damaged.items():
        (place / f"{name}.parquet").write_bytes(data)
    for name, metadata in (("other", None), ("json", b"{"), ("fields", b'{"x": 1}')):
        schema = table.schema.with_metadata({METADATA: metadata} if metadata else {b"x": b"y"})
        pq.write_table(table.cast(schema), place / f"{name}.parquet")
    names = sorted(path.name for path in place.iterdir())
    assert store.shards("de") == {"whole.parquet": stats}
    assert sorted(path.name for path in place.iterdir()) == names  # looking removes nothing

    def late(self, path, *args, **kwargs):
        raise TimeoutError("the store is slow")

    with monkeypatch.context() as patched:
        patched.setattr(LocalFileSystem, "_open", late)
        for look in (store.shards, store.remove_damaged, lambda lang: store.known(lang, "whole.parquet")):
            with pytest.raises(TimeoutError, match="slow"):
                look("de")
    assert sorted(path.name for path in place.iterdir()) == names
    assert store.remove_damaged("de") == len(names) - 1 == 7
    assert [path.name for path in place.iterdir()] == ["whole.parquet"]


def test_other_directories_are_told_and_their_shards_taken(tmp_path):
    old, new = (TranslationStore(str(tmp_path / name)) for name in ("in-1", "in-2"))
    old.begin({"input": "1", "beam_size": "1"}, {})
    table, stats = shout(rows("a"))
    old.write("de", "00000-00003-aa.parquet", table, stats)
    assert made_otherwise(str(tmp_path), "in", MADE_FROM, {"input": "2", "beam_size": "1"}) == [
        (old.directory, ["input"])
    ]
    assert made_otherwise(str(tmp_path), "in", MADE_FROM, {"input": "1", "beam_size": "1"}) == []
    names = ["00001-00000-aa.parquet", "00001-00001-bb.parquet"]
    assert reuse(new, "de", names, [old.directory]) == names[:1]
    assert new.shards("de") == {names[0]: stats}


def test_rates_and_time_left():
    todo = [Chunk(0, n, "de", f"{n}", 10, 100) for n in range(4)] + [Chunk(0, 0, "original", "o", 40, 0)]
    now = iter([32.0, 34.0])
    meter = Meter(todo, lambda: next(now))
    assert meter.add(todo[0], ShardStats(10, num_tokens=50, seconds=2.0)) == (
        "de", 10, 40, "5.0 rows/s, 25 tokens/s, 6 s left",
    )  # fmt: skip
    assert meter.add(todo[1], ShardStats(9, num_tokens=50))[3] == "5.0 rows/s, 25 tokens/s, 4 s left"
    assert [duration(s) for s in (3, 600, 7200, 400_000)] == ["3 s", "10 min", "2.0 h", "4.6 days"]
