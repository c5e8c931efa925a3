"""Columns of texts and the ids of passages against plain lists."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets import text_columns
from hbt_ray.retrieval.sets.builder import SetBuilder
from hbt_ray.retrieval.sets.lines import Judgement
from hbt_ray.retrieval.sets.text_columns import TextWriter


@pytest.mark.parametrize("limits", [(3, 2**24), (10**6, 10)])
def test_a_column_is_a_sequence(monkeypatch, limits):
    monkeypatch.setattr(text_columns, "ROWS_PER_CHUNK", limits[0])
    monkeypatch.setattr(text_columns, "BYTES_PER_CHUNK", limits[1])
    monkeypatch.setattr(text_columns, "ROWS_PER_READ", 4)
    want = [f"{number} é中{'x' * number}" for number in range(11)] + [""]
    writer = TextWriter()
    for number, text in enumerate(want):
        writer.append(text)
        if number == 4:
            assert list(writer.column()) == want[:5]
    column = writer.column()
    assert len(column) == len(writer) == len(want)
    assert list(column) == want == list(pickle.loads(pickle.dumps(column)))
    assert [column[at] for at in range(-12, 12)] == [want[at] for at in range(-12, 12)]
    assert column[np.int64(3)] == want[3]
    for part in (slice(2, 7), slice(None), slice(5, 2), slice(9, 99), slice(-3, None), slice(None, None, 3)):
        assert column[part] == want[part]
    assert column.to_numpy().tolist() == want
    for at in (12, -13):
        with pytest.raises(IndexError):
            column[at]


def test_ids_by_language():
    rng = np.random.default_rng(0)
    names = [[f"p{number}" for number in rng.permutation(50)[:size]] for size in (20, 0, 30, 0)]
    builder = SetBuilder("s", [f"l{lang}" for lang in range(4)])
    for lang, ids in enumerate(names):
        builder.add_passages(lang, [Path("f")], lambda _, ids=ids: [(1, name, "", "t") for name in ids])
    flat = [(name, lang) for lang, ids in enumerate(names) for name in ids]
    wanted = [f"p{number}" for number in range(25)]
    for only, prefix in ((None, ""), (2, "only ")):
        builder.add_queries(2, Path("q"), lambda _: [(1, "q", "", "t")], prefix)
        builder.judge(Path("j"), [Judgement("q", name, 1) for name in wanted], only, prefix=prefix)
    rs = builder.build()
    assert list(rs.passage_ids) == [name for name, _ in flat]
    assert rs.passage_langs.tolist() == [lang for _, lang in flat]
    for key, langs in (("q", range(4)), ("only q", (2,))):
        query = rs.query_keys.tolist().index(key)
        rows = rs.gold_passages[rs.gold_offsets[query] : rs.gold_offsets[query + 1]].tolist()
        assert rows == [row for row, (name, lang) in enumerate(flat) if lang in langs and name in wanted]
    texts = {"f": [(1, "p1", "", "")], "g": [(7, "p0", "", ""), (9, "p0", "", "")]}
    with pytest.raises(EvaluationError, match="g line 9 has the id p0"):
        SetBuilder("s", ["en"]).add_passages(0, [Path("f"), Path("g")], lambda path: texts[path.name])
