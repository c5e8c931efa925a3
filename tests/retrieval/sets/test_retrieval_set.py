import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

GOOD = {
    "name": "tiny",
    "langs": ("en", "de"),
    "query_langs": np.array([0, 1]),
    "query_keys": np.array(["q0", "q0"]),
    "passage_langs": np.array([0, 0, 1]),
    "passage_ids": np.array(["a", "b", "a"]),
    "gold_offsets": np.array([0, 2, 3]),
    "gold_passages": np.array([0, 2, 1]),
}


def test_derived_arrays():
    rs = RetrievalSet(**GOOD, queries=["x", "y"], passages=["a", "b", "c"])
    assert (rs.num_queries, rs.num_passages, rs.num_langs) == (2, 3, 2)
    assert rs.gold_queries.tolist() == [0, 0, 1]
    assert rs.gold_langs.tolist() == [0, 1, 0]


def test_texts_may_be_absent():
    assert RetrievalSet(**GOOD).queries is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"langs": ("en", "en")}, "each language once"),
        ({"langs": ()}, "each language once"),
        ({"query_langs": np.array([0, 2])}, r"query_langs\[1\] is 2"),
        ({"query_langs": np.array([0])}, "query_langs has shape"),
        ({"passage_langs": np.array([0, 0, -1])}, r"passage_langs\[2\] is -1"),
        ({"passage_ids": np.array(["a", "a", "a"])}, "passage id a twice in en"),
        ({"gold_passages": np.array([0, 2, 3])}, r"gold_passages\[2\] is 3"),
        ({"gold_passages": np.array([0, 0, 1])}, "query q0 .* gold twice"),
        ({"gold_passages": np.array([0.0, np.nan, 1])}, "gold_passages has dtype float64"),
        ({"gold_offsets": np.array([0, 3, 2])}, "must rise from 0 to 3"),
        ({"gold_offsets": np.array([0, 3, 3])}, r"query q0 \(de\) .* no relevant passage .*1 such"),
        ({"queries": ["only one"]}, "1 queries but 2 rows"),
        ({"query_keys": np.array([]), "query_langs": np.array([], int)}, "0 queries and 3 passages"),
    ],
)
def test_malformed_sets_are_refused(change, message):
    with pytest.raises(EvaluationError, match=message):
        RetrievalSet(**(GOOD | change))
