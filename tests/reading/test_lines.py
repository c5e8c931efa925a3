"""Lines of text files in the forms that programs write them."""

import gzip
import json

import pytest

from hbt_ray.errors import CorpusError
from hbt_ray.reading.lines import csv_rows, json_lines, text_lines

TEXT = "i0\ta\n\nü\u2028\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz"])
def test_marks_line_ends_and_gzip_are_read(tmp_path, end, mark, name):
    data = (mark + TEXT.replace("\n", end)).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert list(text_lines(f"{tmp_path}/{name}")) == [(1, "i0\ta"), (3, "ü\u2028")]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("latin-1", "Latin-1")],
)
@pytest.mark.parametrize("read", [text_lines, csv_rows, json_lines])
def test_another_encoding_is_named_with_the_file(tmp_path, encoding, named, read):
    path = tmp_path / "x.csv"
    path.write_bytes('{"id": "übung"}\n'.encode(encoding))
    with pytest.raises(CorpusError) as caught:
        list(read(str(path)))
    line = str(caught.value)
    assert str(path) in line
    assert named in line
    assert "\n" not in line


def test_json_lines(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('\ufeff{"a": NaN}\r\n\n{"a": 1}\n')
    (first, row), last = json_lines(str(path))
    assert (first, row["a"] != row["a"], last) == (1, True, (3, {"a": 1}))
    for line in ("{", "[]", '{"a": "\\ud800"}'):
        path.write_text(json.dumps({"a": 1}) + "\n" + line)
        with pytest.raises(CorpusError, match=r"x\.jsonl line 2"):
            list(json_lines(str(path)))


def test_tsv_has_no_quoting_and_csv_has(tmp_path):
    cells = [["id", "text"], ["1", '"quoted'], ["2", 'a "b" c'], ["3", "'"]]
    (tmp_path / "x.tsv").write_text("\ufeff" + "".join("\t".join(row) + "\r\n" for row in cells))
    assert [row for _, row in csv_rows(f"{tmp_path}/x.tsv")] == cells
    (tmp_path / "x.csv").write_text('id,text\n1,"a ""b""\n, c"\n\n2,d "e"\n')
    assert list(csv_rows(f"{tmp_path}/x.csv")) == [
        (1, ["id", "text"]),
        (2, ["1", 'a "b"\n, c']),
        (5, ["2", 'd "e"']),
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("x.tsv", "id\ttext\n1\ta\n2\ta\tb\n", 3),
        ("x.tsv", "id\ttext\n1\n", 2),
        ("x.csv", "id,text\n1,a\n2,a,b\n", 3),
        ("x.csv", 'id,text\n1,a\n2,"b\n3,c\n4,d\n', 3),
        ("x.csv", 'id,text\n1,"b\n3,"c\n4,d\n', 2),
    ],
)
def test_rows_that_do_not_fit_are_named_by_their_line(tmp_path, name, text, line):
    (tmp_path / name).write_text(text)
    with pytest.raises(CorpusError, match=rf"{name} line {line}"):
        list(csv_rows(f"{tmp_path}/{name}"))
