import csv
import gzip
import io
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hbt_ray.corpus.inputs import find_inputs, input_name, read_unit
from hbt_ray.corpus.readers import units as module
from hbt_ray.corpus.resolve import absolute_inputs
from hbt_ray.corpus.rows import check_rows
from hbt_ray.errors import ConfigError, CorpusError

ROWS = [
    {"id": f"i{i}", "lang": lang, "question": f"{lang} {i}?", "passage": f"{lang} no. {i}\u2028x"}
    for i in range(7)
    for lang in ("en", "de")
]


def write_parquet(path, rows=ROWS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def write_jsonl(path, rows=ROWS, end="\n"):
    data = (end.join(json.dumps(row, ensure_ascii=False) for row in rows) + end).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(location):
    """All rows of an input, as they reach the checks."""
    return [row for unit in find_inputs(str(location)).units for table in read_unit(unit) for row in table.to_pylist()]


def texts(rows):
    return [{name: row[name] for name in ("id", "lang", "question", "passage")} for row in rows]


def test_parquet_of_a_directory_a_file_and_a_glob(tmp_path):
    write_parquet(tmp_path / "a" / "one.parquet", ROWS[:5])
    write_parquet(tmp_path / "b.parquet", ROWS[5:])
    assert texts(read(tmp_path)) == ROWS
    assert texts(read(tmp_path / "b.parquet")) == ROWS[5:]
    assert texts(read(tmp_path / "*.parquet")) == ROWS[5:]
    assert texts(read(f"{tmp_path}/**/*.parquet")) == ROWS
    assert texts(read(f"file://{tmp_path}")) == ROWS


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.ndjson"])
def test_jsonl(tmp_path, name):
    rows = [{**row, "weight": 2, "else": [1]} for row in ROWS]
    result = read(write_jsonl(tmp_path / name, rows, end="\n\n"))
    assert texts(result) == ROWS
    assert {(row["weight"], row["source"]) for row in result} == {("2", None)}


def test_optional_columns_are_read_and_others_are_not(tmp_path):
    write_parquet(tmp_path / "x.parquet", [{**row, "source": "s", "weight": 0.5, "more": 1} for row in ROWS])
    assert set(read(tmp_path)[0]) == {"id", "lang", "question", "passage", "source", "weight"}


def test_a_large_file_is_cut_into_units_by_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_A_UNIT", 4)
    monkeypatch.setattr(module, "BATCH_ROWS", 3)
    write_parquet(tmp_path / "x.parquet", row_group_size=2)
    units = find_inputs(str(tmp_path)).units
    assert [(unit.start, unit.stop) for unit in units] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    tables = [table for unit in units for table in read_unit(unit)]
    assert max(table.num_rows for table in tables) <= 3
    assert [row for table in tables for row in table.to_pylist()] == ROWS
    write_jsonl(tmp_path / "x.jsonl")
    (unit,) = find_inputs(str(tmp_path / "x.jsonl")).units
    assert [table.num_rows for table in read_unit(unit)] == [3, 3, 3, 3, 2]


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_datasets_directory(tmp_path, monkeypatch, as_dict):
    monkeypatch.setattr(module, "ROWS_A_UNIT", 5)
    data = datasets.Dataset.from_list([{**row, "more": 1} for row in ROWS])
    if as_dict:
        data = datasets.DatasetDict({"train": data, "test": data.select(range(2))})
    data.save_to_disk(tmp_path / "data")
    assert texts(read(tmp_path / "data")) == ROWS
    inputs = find_inputs(str(tmp_path / "data"))
    assert [(unit.start, unit.stop) for unit in inputs.units] == [(0, 5), (5, 10), (10, 14)]
    assert inputs.num_bytes > 0


def test_a_datasets_directory_that_cannot_be_used(tmp_path):
    data = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict({"test": data}).save_to_disk(tmp_path / "splits")
    with pytest.raises(CorpusError, match="has splits test but no `train`"):
        find_inputs(str(tmp_path / "splits"))
    data.remove_columns(["lang"]).save_to_disk(tmp_path / "columns")
    with pytest.raises(CorpusError, match="missing column lang; found id, question, passage"):
        find_inputs(str(tmp_path / "columns"))
    data.save_to_disk(tmp_path / "broken")
    next((tmp_path / "broken").glob("*.arrow")).unlink()
    with pytest.raises(CorpusError, match="not a whole `datasets` directory"):
        find_inputs(str(tmp_path / "broken"))


def test_files_without_texts_and_hidden_files_are_left_out(tmp_path):
    write_parquet(tmp_path / "x.parquet")
    write_parquet(tmp_path / "stats.parquet", [{"lang": "en", "num": 3}])
    write_parquet(tmp_path / "_temporary" / "y.parquet")
    (tmp_path / ".z.jsonl").write_text("{")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    inputs = find_inputs(str(tmp_path))
    assert {unit.path.rsplit("/", 1)[-1] for unit in inputs.units} == {"x.parquet"}
    assert [line.rsplit("/", 1)[-1] for line in inputs.ignored] == [
        "empty.jsonl: is empty",
        "stats.parquet: has neither question nor passage (columns: lang, num)",
    ]


def test_missing_columns_are_named_with_those_there_are(tmp_path):
    rows = [{"id": 1, "question": "a", "passage": "b"}]
    for path in (write_parquet(tmp_path / "x.parquet", rows), write_jsonl(tmp_path / "x.jsonl", rows)):
        with pytest.raises(CorpusError) as caught:
            find_inputs(str(path))
        expected = "missing column lang; found id, question, passage; required: id, lang, question, passage"
        assert str(caught.value) == f"{path}: {expected}"


def test_texts_must_be_strings(tmp_path):
    rows = [{**ROWS[0]}, {**ROWS[1], "passage": ["a", "b"]}]
    path = write_jsonl(tmp_path / "x.jsonl", rows)
    with pytest.raises(CorpusError, match=r"x\.jsonl line 2: passage is a list; a string is needed"):
        read(path)
    path = write_parquet(tmp_path / "x.parquet", [rows[1]])
    with pytest.raises(CorpusError, match=r"x\.parquet: column passage holds list<.*>; a string is needed"):
        find_inputs(str(path))


def test_integer_ids_are_strings_in_every_format(tmp_path):
    rows = [{**row, "id": number} for number, row in enumerate(ROWS)]
    write_parquet(tmp_path / "x.parquet", rows)
    write_jsonl(tmp_path / "x.jsonl", rows)
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "hf")
    for name in ("x.parquet", "x.jsonl", "hf"):
        units = find_inputs(str(tmp_path / name)).units
        ids = [id_ for unit in units for table in read_unit(unit) for id_ in check_rows(table)["id"].to_pylist()]
        assert ids == [str(number) for number in range(len(ROWS))]


def test_a_truncated_parquet_file(tmp_path):
    path = write_parquet(tmp_path / "x.parquet")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CorpusError, match=r"x\.parquet: not a whole Parquet file"):
        find_inputs(str(tmp_path))


def test_a_truncated_or_damaged_gzip_file(tmp_path):
    rows = [{**row, "passage": f"{number * 7919 % 10007}" * 9} for number, row in enumerate(ROWS * 200)]
    path = write_jsonl(tmp_path / "x.jsonl.gz", rows)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2 : len(whole) // 2 + 40] = b"\xff" * 40
    for damaged in (whole[: len(whole) // 2], whole[:12], bytes(flipped), b"no gzip"):
        path.write_bytes(damaged)
        with pytest.raises(CorpusError, match=r"x\.jsonl\.gz(: damaged, or cut off| line \d+: not valid JSON)"):
            read(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "not valid JSON"), ("[1]", r"is '\[1\]'; a JSON object")],
)
def test_malformed_json_is_named_by_its_line(tmp_path, line, message):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n" + json.dumps(ROWS[0]).encode() + b"\n" + line.encode())
    with pytest.raises(CorpusError, match=rf"x\.jsonl line 3:? {message}"):
        read(path)


def test_nothing_found(tmp_path):
    with pytest.raises(CorpusError, match="nowhere' does not exist; give a directory, file or glob, `sample`, or sour"):
        find_inputs(str(tmp_path / "nowhere"))
    for location in (tmp_path, tmp_path / "*.parquet"):
        with pytest.raises(CorpusError, match=r"has no files ending in \.parquet, \.jsonl"):
            find_inputs(str(location))
    with pytest.raises(ConfigError, match="cannot be opened"):
        find_inputs("nosuchprotocol://bucket/x")
    write_parquet(tmp_path / "x.parquet", [{"a": 1}])
    with pytest.raises(
        CorpusError, match=r"has no rows in long form .*: .*x\.parquet: has neither question nor passage"
    ):
        find_inputs(str(tmp_path))
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in ROWS[0]}), tmp_path / "x.parquet")
    with pytest.raises(CorpusError, match="all files are empty"):
        find_inputs(str(tmp_path))


def test_the_fingerprint_is_of_names_and_contents(tmp_path):
    prints = set()
    for directory in ("a", "b"):
        write_parquet(tmp_path / directory / "x.parquet")
        prints.add(find_inputs(str(tmp_path / directory)).fingerprint)
    assert len(prints) == 1
    write_parquet(tmp_path / "b" / "x.parquet", ROWS[1:])
    prints.add(find_inputs(str(tmp_path / "b")).fingerprint)
    write_parquet(tmp_path / "a" / "y.parquet", ROWS[:1])
    prints.add(find_inputs(str(tmp_path / "a")).fingerprint)
    assert len(prints) == 3


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_csv(tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "BATCH_ROWS", 4)
    rows = [{**row, "passage": row["passage"] + '\n"x", y\tz', "more": "1"} for row in ROWS]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    data = text.getvalue().encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert texts(read(tmp_path / name)) == texts(rows)
    assert set(read(tmp_path / name)[0]) == {"id", "lang", "question", "passage"}
    (unit,) = find_inputs(str(tmp_path / name)).units
    assert [table.num_rows for table in read_unit(unit)] == [4, 4, 4, 2]


def test_a_csv_file_that_cannot_be_used(tmp_path):
    (tmp_path / "x.csv").write_text("id,question,passage\n1,a,b\n")
    with pytest.raises(CorpusError, match=r"x\.csv: missing column lang; found id, question, passage"):
        find_inputs(str(tmp_path))
    (tmp_path / "x.csv").write_text("id,lang,question,passage\n1,en,a\n")
    with pytest.raises(CorpusError, match=r"x\.csv line 2 has 3 cells, its header 4"):
        read(tmp_path)
    (tmp_path / "x.csv").write_text('id,lang,question,passage\n1,en,a,b\n2,en,"a,b\n3,en,a,b\n')
    with pytest.raises(CorpusError, match=r"x\.csv line 3: a cell .* quotation mark that nothing closes"):
        read(tmp_path)
    (tmp_path / "x.csv").write_text('id,lang,question,passage\n1,en,"a,b\n3,en,"a",b\n')
    with pytest.raises(CorpusError, match=r"x\.csv line 2: a cell .* quotation mark that nothing closes"):
        read(tmp_path)
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(CorpusError, match=r"x\.csv: is empty"):
        find_inputs(str(tmp_path))


def test_columns_of_other_names_fixed_values_and_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_A_UNIT", 2)
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    pairs = [{"text": f"t{n}", "english": f"e{n}", "code": "de"} for n in range(5)]
    write_parquet(tmp_path / "pairs.parquet", pairs, row_group_size=2)
    write_jsonl(tmp_path / "pairs.jsonl", pairs)
    datasets.Dataset.from_list(pairs).save_to_disk(tmp_path / "pairs")
    (tmp_path / "pairs.csv").write_text("text,english,code\n" + "".join(f"t{n},e{n},de\n" for n in range(5)))
    options = "?id=#&lang=code&question=text&passage=english&source==s"
    for name in ("pairs.parquet", "pairs.jsonl", "pairs", "pairs.csv"):
        rows = read(f"{tmp_path}/{name}{options}")
        assert [{name: row[name] for name in ("id", "lang", "question", "passage", "source")} for row in rows] == [
            {"id": f"pairs:{n}", "lang": "de", "question": f"t{n}", "passage": f"e{n}", "source": "s"} for n in range(5)
        ]
    with pytest.raises(CorpusError, match=r"pairs\.parquet: missing column txt; found text, english, code"):
        find_inputs(f"{tmp_path}/pairs.parquet?id=#&lang=code&question=txt&passage=english")
    with pytest.raises(CorpusError, match="'title' is no column of long form"):
        find_inputs(f"{tmp_path}/pairs.parquet?title=text")


def test_several_inputs_are_one(tmp_path):
    write_parquet(tmp_path / "a" / "x.parquet", [{"n": n, "de": f"d{n}", "en": f"e{n}"} for n in range(3)])
    write_jsonl(tmp_path / "b.jsonl", ROWS[:2])
    side = "?id=n&lang=={0}&question={0}&passage={0}"
    location = f"{tmp_path}/a{side.format('de')}, {tmp_path}/a{side.format('en')},{tmp_path}/b.jsonl"
    assert [(row["id"], row["lang"], row["question"]) for row in read(location)] == [
        *((n, "de", f"d{n}") for n in range(3)),
        *((n, "en", f"e{n}") for n in range(3)),
        *((row["id"], row["lang"], row["question"]) for row in ROWS[:2]),
    ]
    prints = {
        find_inputs(place).fingerprint for place in (location, location.replace("==en", "==fr"), f"{tmp_path}/b.jsonl")
    }
    assert len(prints) == 3
    write_jsonl(tmp_path / "c,d.jsonl", ROWS[:2])  # a comma in a name
    assert texts(read(tmp_path / "c,d.jsonl")) == ROWS[:2]


def test_hard_negatives_are_lists_of_strings(tmp_path):
    rows = [{**row, "negatives": [f"n{n}"] * (n % 3) if n % 2 else None} for n, row in enumerate(ROWS)]
    schema = pa.Table.from_pylist(ROWS).schema.append(pa.field("negatives", pa.list_(pa.string())))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "x.parquet")
    write_jsonl(tmp_path / "x.jsonl", rows)
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "hf")
    for name in ("x.parquet", "x.jsonl", "hf"):
        assert [row["negatives"] for row in read(tmp_path / name)] == [row["negatives"] for row in rows]
    path = write_jsonl(tmp_path / "y.jsonl", [{**ROWS[0], "negatives": "['a']"}])
    with pytest.raises(CorpusError, match=r"y\.jsonl line 1: negatives .* is no list in JSON"):
        read(path)
    path = write_parquet(tmp_path / "y.parquet", [{**ROWS[0], "negatives": [{"a": 1}]}])
    with pytest.raises(CorpusError, match=r"column negatives holds list<.*; a list of strings is needed"):
        find_inputs(str(path))


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("/data/faq/", "faq"),
        ("/data/faq.v2.parquet", "faq"),
        ("/data/*.parquet", "corpus"),
        ("/data/x.csv?question=q, source:squad", "x"),
        ("source:squad?rows=10", "squad"),
        ("source:mmarco:/data/copy", "copy"),
        ("/w/cleaned/faq-12ab/kept", "faq-12ab"),
        ("memory://bucket/faq", "faq"),
        ("/data/a*b[0-9]c.parquet", "a-b-0-9-c"),
    ],
)
def test_a_name_for_what_is_made(location, name):
    assert input_name(location) == name


def test_every_input_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_inputs("a.csv?lang==de, source:squad, source:mmarco:copy?langs=en+de,memory://b/c") == (
        f"{tmp_path}/a.csv?lang==de,source:squad,source:mmarco:{tmp_path}/copy?langs=en+de,memory://b/c"
    )
