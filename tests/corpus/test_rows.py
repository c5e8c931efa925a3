import pyarrow as pa
import pytest

from hbt_ray.corpus import rows as names
from hbt_ray.corpus.rows import SCHEMA, check_rows

GOOD = {"id": "a", "lang": "en", "question": "q", "passage": "p", "source": "s", "weight": 1.0}


def check(*rows, langs=()):
    return check_rows(pa.Table.from_pylist(list(rows)), langs).to_pylist()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"id": "  "}, names.NO_ID),
        ({"id": None}, names.NO_ID),
        ({"lang": "english"}, names.BAD_LANG),
        ({"lang": None}, names.NO_LANG),
        ({"question": "\t\u3000 "}, names.EMPTY_QUESTION),
        ({"question": None}, names.EMPTY_QUESTION),
        ({"passage": ""}, names.EMPTY_PASSAGE),
        ({"weight": 0.0}, names.BAD_WEIGHT),
        ({"weight": -1.0}, names.BAD_WEIGHT),
        ({"weight": float("nan")}, None),
        ({"weight": float("inf")}, names.BAD_WEIGHT),
        ({"weight": None}, None),
        ({"lang": "fr"}, names.NOT_SELECTED),
        ({"lang": "fra", "question": ""}, names.NOT_SELECTED),
        ({"lang": "fr", "weight": -1.0}, names.NOT_SELECTED),
        ({"lang": "fr", "id": ""}, names.NOT_SELECTED),
        ({"question": "", "weight": -1.0}, names.EMPTY_QUESTION),
        ({"id": "", "question": ""}, names.NO_ID),
    ],
)
def test_every_problem_has_its_name(change, problem):
    good, row = check(GOOD, {**GOOD, **change}, langs=("en", "de"))
    assert good["problem"] is None
    assert row["problem"] == problem
    assert (row["question"] is None) == (row["passage"] is None) == (problem is not None)


def test_texts_are_stripped_and_codes_canonical():
    (row,) = check({"id": " a\n", "lang": " ZH_hant ", "question": "\u00a0q q\t", "passage": "\np ", "source": " s "})
    assert row == {
        "id": "a", "lang": "zh-Hant", "source": "s", "question": "q q", "passage": "p", "weight": 1.0,
        "negatives": None, "problem": None,
    }  # fmt: skip


def test_source_and_weight_may_be_absent_or_null():
    assert check({name: GOOD[name] for name in ("id", "lang", "question", "passage")})[0]["source"] == "corpus"
    assert check({**GOOD, "source": " "}, {**GOOD, "source": None}, GOOD)[0]["source"] == "corpus"
    assert [row["weight"] for row in check({**GOOD, "weight": "2.5"}, {**GOOD, "weight": None})] == [2.5, 1.0]
    assert check({**GOOD, "weight": "much"})[0]["problem"] == names.BAD_WEIGHT


def test_every_table_comes_out_in_one_schema():
    text = pa.array(["a", "b"])
    plain = {"id": pa.array([1, 2]), "lang": pa.array(["en", "de"]), "question": text, "passage": text}
    for table in (
        pa.table(plain),
        pa.table({**plain, "id": text.dictionary_encode(), "question": text.cast(pa.large_string())}),
        pa.table({**plain, "weight": pa.array([1, 2])}),
        pa.concat_tables([pa.table(plain), pa.table(plain)]),
        pa.table(plain).slice(0, 0),
        pa.table({**plain, "source": pa.nulls(2)}),
    ):
        checked = check_rows(table)
        assert checked.schema == SCHEMA
        assert checked.num_rows == table.num_rows
        assert checked["problem"].null_count == table.num_rows


def test_hard_negatives_are_stripped_and_what_cannot_be_one_is_left_out():
    rows = [
        {**GOOD, "negatives": [" a ", "", "p", "b"]},
        {**GOOD, "negatives": []},
        {**GOOD, "negatives": None},
        {**GOOD, "negatives": [None, "p "]},
        {**GOOD, "passage": "", "negatives": ["a"]},
    ]
    assert [row["negatives"] for row in check(*rows)] == [["a", "b"], None, None, None, None]
    sliced = pa.Table.from_pylist(rows).slice(1)
    assert check_rows(sliced)["negatives"].to_pylist() == [None] * 4
