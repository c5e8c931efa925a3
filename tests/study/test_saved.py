"""Scores as a file: nothing is lost on the way, and what is no such file is named."""

import io
from dataclasses import fields, replace

import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.saved import scores_from_bytes, scores_to_bytes
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.significance import compare, intervals
from hbt_ray.retrieval.sets.parallel import parallel_set


def two_models(num_items=40, langs=("en", "de", "zh"), top_k=10):
    rng = np.random.default_rng(0)
    has = np.ones((num_items, len(langs)), dtype=bool)
    has[1::3, 1] = False  # some pairs have no answer, so that some values are NaN
    rs = parallel_set("dev", langs, has)
    items = rng.standard_normal((num_items, 16))[rs.query_keys]
    noise = rng.standard_normal((2, rs.num_queries, 16))
    return [score(rs, items + level * noise[0], items + level * noise[1], top_k) for level in (0.7, 1.2)]


def assert_same(left, right):
    for field in fields(left):
        ours, theirs = getattr(left, field.name), getattr(right, field.name)
        if field.name in ("per_query", "standard"):
            assert_same(ours, theirs)
        else:
            np.testing.assert_equal(ours, theirs)


@pytest.mark.parametrize("top_k", [0, 10])
def test_nothing_is_lost(top_k):
    scores = two_models(top_k=top_k)[0]
    again = scores_from_bytes(scores_to_bytes(scores), "file")
    assert_same(scores, again)
    assert again.to_json() == scores.to_json()


def test_tests_and_intervals_are_those_of_the_scores_themselves():
    a, b = two_models()
    loaded = [scores_from_bytes(scores_to_bytes(scores), "file") for scores in (a, b)]
    assert compare(*loaded, num_resamples=200) == compare(a, b, num_resamples=200)
    assert intervals(loaded[0], num_resamples=200) == intervals(a, num_resamples=200)
    assert {row.p_value for row in compare(a, loaded[0], num_resamples=200)} == {1.0}  # no last digit differs


def test_keys_that_are_objects_are_saved_as_text():
    scores = two_models()[0]
    keys = np.array([f"question {key}" for key in scores.per_query.keys], dtype=object)
    named = replace(scores, per_query=replace(scores.per_query, keys=keys))
    again = scores_from_bytes(scores_to_bytes(named), "file")
    assert again.per_query.keys.tolist() == keys.tolist()


def test_the_file_is_compact():
    scores = two_models(num_items=500, langs=tuple(f"l{at}" for at in range(10)))[0]
    assert len(scores_to_bytes(scores)) < 0.6 * scores.per_query.pair_ap.nbytes  # one of its 17 arrays by query


def test_what_is_no_such_file_is_named():
    content = scores_to_bytes(two_models()[0])
    with pytest.raises(EvaluationError, match=r"a\.npz is not a whole"):
        scores_from_bytes(content[: len(content) // 2], "a.npz")
    with pytest.raises(EvaluationError, match=r"a\.npz is not a whole"):
        scores_from_bytes(b"text", "a.npz")
    buffer = io.BytesIO()
    np.savez(buffer, pool_map=np.zeros(3))
    with pytest.raises(EvaluationError, match=r"a\.npz is not a whole"):
        scores_from_bytes(buffer.getvalue(), "a.npz")
