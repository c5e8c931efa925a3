"""What a cell is: one rule for Arrow columns and for Python values, held against each other."""

import datetime
from decimal import Decimal

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.reading.columns import as_ids, as_langs, as_lists, as_texts, id_of, list_of, named_labels, text_of

NAN = float("nan")
CELLS = {
    "text": (pa.array(["a", None, " b "]), ["a", None, "b"]),
    "large text": (pa.array(["a", None], pa.large_string()), ["a", None]),
    "dictionary": (pa.array(["a", "b", "a", None]).dictionary_encode(), ["a", "b", "a", None]),
    "int": (pa.array([0, None, -7, 2**62]), ["0", None, "-7", str(2**62)]),
    "float": (pa.array([0.0, None, NAN, 12.0, 1.5, -0.0]), ["0", None, None, "12", "1.5", "0"]),
    "float32": (pa.array([3.0, NAN], pa.float32()), ["3", None]),
    "large float": (pa.array([1e16, 2.0**70]), ["10000000000000000", str(2**70)]),
    "decimal": (pa.array([Decimal("2.00"), Decimal("2.50"), None]), ["2", "2.50", None]),
    "bool": (pa.array([True, False, None]), ["true", "false", None]),
    "bytes": (pa.array(["ä".encode(), None]), ["ä", None]),
    "large bytes": (pa.array([b"a"], pa.large_binary()), ["a"]),
    "fixed bytes": (pa.array([b"ab"], pa.binary(2)), ["ab"]),
    "null": (pa.nulls(2), [None, None]),
    "date": (pa.array([datetime.date(2026, 1, 2)]), ["2026-01-02"]),
}


@pytest.mark.parametrize("kind", CELLS)
def test_every_kind_of_column_becomes_texts(kind):
    column, want = CELLS[kind]
    assert as_texts(column).to_pylist() == want
    assert as_texts(column).type == pa.string()
    assert as_texts(pa.chunked_array([column, column]).slice(1)).to_pylist() == (want * 2)[1:]


VALUES = st.text("a0.1- \tü") | st.floats() | st.integers(-(2**62), 2**62) | st.booleans()


@settings(max_examples=40)
@given(st.sampled_from([str, float, int, bool]), st.lists(st.none() | VALUES, max_size=8))
def test_columns_and_values_are_read_alike(kind, values):
    same = [value for value in values if value is None or type(value) is kind]
    texts = [text_of(value) for value in same]
    assert as_texts(pa.array(same)).to_pylist() == [text if text is None else text.strip() for text in texts]
    assert [id_ or "" for id_ in as_ids(pa.array(same)).to_pylist()] == [id_of(value) for value in same]


def test_a_whole_number_is_one_id_in_every_type():
    columns = (pa.array([7]), pa.array([7.0]), pa.array(["7"]), pa.array([" 7.0 "]), pa.array([b"7"]))
    assert {as_ids(column)[0].as_py() for column in columns} == {"7"}
    assert {id_of(value) for value in (7, 7.0, "7", "7.0", b"7", Decimal("7.00"), np.float64(7))} == {"7"}
    assert [id_of(value) for value in ("007", "7.5", "1.10", "v7.0")] == ["007", "7.5", "1.10", "v7.0"]
    assert [id_of(value) for value in (NAN, None, " ")] == [""] * 3


def test_bytes_that_are_no_utf8_are_refused():
    with pytest.raises(pa.ArrowInvalid):
        as_texts(pa.array([b"\xff"]))


def test_languages_are_canonical_and_what_is_none_stays():
    codes, known = as_langs(pa.array(["EN", "en", "deu", " zh_hant", "english", None, ""]))
    assert codes.to_pylist() == ["en", "en", "de", "zh-Hant", "english", "", ""]
    assert known.tolist() == [True] * 4 + [False] * 3


def test_lists_in_every_form():
    want = ["a", "b"]
    assert [list_of(value) for value in (want, '["a", "b"]', "a", "", " ", None, NAN, ["a", None, NAN], [1, 2.0])] == [
        want, want, ["a"], None, None, None, None, ["a"], ["1", "2"],
    ]  # fmt: skip
    assert as_lists(pa.array([want, None, []])).to_pylist() == [want, None, []]
    assert as_lists(pa.array(['["a", "b"]', None, "a"])).to_pylist() == [want, None, ["a"]]
    assert as_lists(pa.array([want], pa.list_(pa.large_string(), 2))).to_pylist() == [want]
    for value in ("['a', 'b']", "[a", [["a"]], [{"text": "a"}]):
        with pytest.raises(ValueError, match=r"JSON|texts"):
            list_of(value)


def test_labels_of_classes_are_their_names(tmp_path):
    data = datasets.Dataset.from_dict({"lang": [1, 0, -1], "question": ["a", "b", "c"]})
    data = data.cast_column("lang", datasets.ClassLabel(names=["en", "de"]))
    table = data.with_format("arrow")[:]
    assert named_labels(table)["lang"].to_pylist() == ["de", "en", None]
    assert named_labels(table.drop_columns("lang")).column_names == ["question"]
    plain = pa.table({"lang": [1]})
    assert named_labels(plain) is plain
