"""Columns of texts and the ids of passages against plain lists."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets import text_columns as texts
from hbt_ray.retrieval.sets.passages import PassageIds
from hbt_ray.retrieval.sets.text_columns import TextWriter


@pytest.mark.parametrize("limits", [(3, 2**24), (10**6, 10)])
def test_a_column_is_a_sequence(monkeypatch, limits):
    monkeypatch.setattr(texts, "ROWS_PER_CHUNK", limits[0])
    monkeypatch.setattr(texts, "BYTES_PER_CHUNK", limits[1])
    monkeypatch.setattr(texts, "ROWS_PER_READ", 4)
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
    names = [[f"p{at}" for at in rng.permutation(50)[:size]] for size in (20, 0, 30, 0)]
    ids = PassageIds(4)
    for lang, own in enumerate(names):
        for line, name in enumerate(own, start=1):
            ids.append(Path("f"), line, lang, name)
    flat = [(name, lang) for lang, own in enumerate(names) for name in own]
    assert list(ids.names()) == [name for name, _ in flat]
    assert ids.langs().tolist() == [lang for _, lang in flat]
    for langs in (range(4), (2,), (1,)):
        want = {}
        for row, (name, lang) in enumerate(flat):
            if lang in langs and int(name[1:]) < 25:
                want.setdefault(name, []).append(row)
        assert ids.rows({f"p{at}" for at in range(25)}, langs) == want
    ids.append(Path("g"), 7, 3, "p0")
    ids.append(Path("g"), 9, 3, "p0")
    with pytest.raises(EvaluationError, match="g line 9 has the id p0"):
        ids.check()
