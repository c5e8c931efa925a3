"""The same rows by every door: each format of a corpus, and the sets that are made of them."""

import csv
import json
import math

import datasets
import pandas as pd
import pytest

from hbt_ray.corpus.inputs import find_inputs, read_unit
from hbt_ray.corpus.rows import BAD_LANG, EMPTY_PASSAGE, EMPTY_QUESTION, NO_ID, NO_LANG, check_rows
from hbt_ray.retrieval.sets.catalog import load_set

NAN = float("nan")
ROWS = [
    {"id": 0, "lang": "EN", "question": "q0", "passage": "p0", "negatives": ["n", "m"]},
    {"id": 0.0, "lang": "de", "question": "f0", "passage": "g0", "negatives": None},
    {"id": 1.0, "lang": "en", "question": "nan", "passage": "NA", "negatives": None},
    {"id": NAN, "lang": "en", "question": "q", "passage": "p", "negatives": None},
    {"id": 2, "lang": None, "question": "q2", "passage": "p2", "negatives": None},
    {"id": 3, "lang": "en", "question": NAN, "passage": "p3", "negatives": None},
    {"id": 4, "lang": "en", "question": "q4", "passage": None, "negatives": None},
    {"id": 5, "lang": "cz", "question": "q5", "passage": "p5", "negatives": None},
]
GOOD = [
    ("0", "en", "q0", "p0", ["n", "m"]),
    ("0", "de", "f0", "g0", None),
    ("1", "en", "nan", "NA", None),
]
PROBLEMS = [None] * 3 + [NO_ID, NO_LANG, EMPTY_QUESTION, EMPTY_PASSAGE, BAD_LANG]


def cell(value):
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else json.dumps(value) if isinstance(value, list) else value


def write_csv(directory):
    with open(directory / "x.csv", "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ROWS[0])
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in row.items()} for row in ROWS)


def write_tsv(directory):
    lines = [list(ROWS[0]), *([str(cell(value)) for value in row.values()] for row in ROWS)]
    (directory / "x.tsv").write_bytes("".join("\t".join(line) + "\r\n" for line in lines).encode())


def write_jsonl(directory):
    (directory / "x.jsonl").write_text("".join(json.dumps(row) + "\r\n" for row in ROWS), encoding="utf-8-sig")


def write_parquet(directory):
    pd.DataFrame(ROWS).to_parquet(directory / "x.parquet")


def write_parquet_of_bytes(directory):
    frame = pd.DataFrame(ROWS)
    for name in ("lang", "question", "passage"):
        frame[name] = [value.encode() if isinstance(value, str) else None for value in frame[name]]
    frame.to_parquet(directory / "x.parquet")


def write_datasets(directory):
    data = datasets.Dataset.from_pandas(pd.DataFrame(ROWS))
    data.cast_column("lang", datasets.ClassLabel(names=["de", "EN", "en", "cz"])).save_to_disk(directory)


DOORS = [write_csv, write_tsv, write_jsonl, write_parquet, write_parquet_of_bytes, write_datasets]


@pytest.mark.parametrize("write", DOORS)
def test_a_corpus_is_the_same_in_every_format(tmp_path, write):
    write(tmp_path)
    rows = [
        row
        for unit in find_inputs(str(tmp_path)).units
        for table in read_unit(unit)
        for row in check_rows(table).to_pylist()
    ]
    assert [row["problem"] for row in rows] == PROBLEMS
    names = ("id", "lang", "question", "passage", "negatives")
    assert [tuple(row[name] for name in names) for row in rows[:3]] == GOOD


@pytest.mark.parametrize("write", [write_parquet, write_parquet_of_bytes])
def test_a_parallel_set_reads_them_alike(tmp_path, write):
    write(tmp_path)
    rs = load_set(f"parallel:{tmp_path}")
    got = zip(rs.query_keys, rs.query_langs, rs.queries, rs.passages, strict=True)
    assert sorted((str(key), rs.langs[lang], query, passage) for key, lang, query, passage in got) == sorted(
        row[:4] for row in GOOD
    )
    assert [note.split()[0] for note in rs.notes] == ["1", "1", "1", "2"]  # no id, no language, cz, no text
    assert "Czech is cs" in rs.notes[2]


@pytest.mark.parametrize("number", [lambda n: n, float, str, lambda n: f"{n}.0"])
def test_ids_of_a_beir_set_are_those_of_its_judgements_whatever_wrote_them(tmp_path, number):
    docs = [{"_id": number(n), "title": NAN, "text": f"d{n}"} for n in range(3)]
    (tmp_path / "corpus.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*docs, {"_id": NAN, "text": "lost"}]), encoding="utf-8-sig"
    )
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": number(7), "text": "q"}) + "\n")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("queryid\tdocid\tlabel\n7\t1\t1.0\n7.0\t2\t0.0\n")
    rs = load_set(f"beir:{tmp_path}", ["EN"])
    assert rs.langs == ("en",)
    assert list(rs.passage_ids) == ["0", "1", "2"]
    assert list(rs.passages) == ["d0", "d1", "d2"]
    assert (list(rs.query_keys), rs.gold_passages.tolist(), rs.grades.tolist()) == (["7"], [1], [1])
    assert rs.notes == ("1 entries of corpus.jsonl have no id and are left out.",)


def test_codes_in_names_of_files_are_canonical(tmp_path):
    for side in ("corpus", "queries"):
        for lang in ("EN", "deu"):
            (tmp_path / f"{side}.{lang}.jsonl").write_text(json.dumps({"_id": "a", "text": f"{side} {lang}"}) + "\n")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("a\ta\t1\n")
    assert load_set(f"beir:{tmp_path}").langs == ("de", "en")
    assert load_set(f"beir:{tmp_path}?langs=DE").langs == ("de",)
    with pytest.raises(ValueError, match=r"for jp; it has de, en \(Japanese is ja\)"):
        load_set(f"beir:{tmp_path}", ["jp"])
