import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.parallel import parallel_set


def gold_of(rs, query):
    """{(item, language)} of the relevant passages of a query."""
    rows = rs.gold_passages[rs.gold_offsets[query] : rs.gold_offsets[query + 1]]
    return {(int(rs.passage_ids[row]), int(rs.passage_langs[row])) for row in rows}


def test_rows_and_gold():
    rs = parallel_set("dev", ("en", "de"), np.array([[1, 1], [0, 0], [1, 0]], dtype=bool))
    rows = list(zip(rs.query_keys.tolist(), rs.query_langs.tolist(), strict=True))
    assert rows == [(0, 0), (2, 0), (0, 1)]
    assert [gold_of(rs, query) for query in range(3)] == [{(0, 0), (0, 1)}, {(2, 0)}, {(0, 0), (0, 1)}]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 9), st.booleans())
def test_gold_is_the_item_and_its_copies(seed, num_langs, num_items, grouped):
    rng = np.random.default_rng(seed)
    has = rng.random((num_items, num_langs)) < 0.6
    has[0, 0] = True
    group = rng.integers(0, 4, has.shape) if grouped else None
    rs = parallel_set("dev", tuple(map(str, range(num_langs))), has, group)
    assert rs.num_queries == rs.num_passages == has.sum()
    assert (rs.query_keys == rs.passage_ids).all()
    assert (rs.query_langs == rs.passage_langs).all()
    for query in range(rs.num_queries):
        item = rs.query_keys[query]
        want = {
            (other, lang)
            for lang in np.flatnonzero(has[item]).tolist()
            for other in np.flatnonzero(has[:, lang]).tolist()
            if other == item or (group is not None and group[other, lang] == group[item, lang])
        }
        assert gold_of(rs, query) == want


def test_errors():
    with pytest.raises(EvaluationError, match="has_lang has shape"):
        parallel_set("dev", ("en",), np.ones((2, 2), dtype=bool))
    with pytest.raises(EvaluationError, match="passage_group has shape"):
        parallel_set("dev", ("en",), np.ones((2, 1), dtype=bool), np.ones((1, 1), dtype=np.int64))
    with pytest.raises(EvaluationError, match="0 queries and 0 passages"):
        parallel_set("dev", ("en",), np.zeros((2, 1), dtype=bool))
