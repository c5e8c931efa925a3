from types import SimpleNamespace

import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.encode import encode_set
from hbt_ray.model.encoder import Encoder
from tests.model.models import TEXTS


class Lengths:
    """A stand-in: a vector says how long the text is, and its role."""

    def encode(self, texts, role):
        return np.array([[len(text), role == "query"] for text in texts], dtype=np.float32)


def test_blocks_keep_the_order_and_report_progress():
    texts = SimpleNamespace(queries=["a", "bb", "ccc"], passages=["dddd", "e"])
    calls = []
    queries, passages = encode_set(Lengths(), texts, progress=lambda *done: calls.append(done), texts_at_a_time=2)
    assert queries.tolist() == [[1, 1], [2, 1], [3, 1]]
    assert passages.tolist() == [[4, 0], [1, 0]]
    assert calls == [("query", 2, 3), ("query", 3, 3), ("passage", 2, 2)]


def test_an_encoder_reads_each_side_in_its_role(model_directory):
    encoder = Encoder.load(model_directory("bert"), query_prefix="Query: ")
    queries, passages = encode_set(encoder, SimpleNamespace(queries=TEXTS[:3], passages=TEXTS))
    np.testing.assert_allclose(queries, encoder.encode(TEXTS[:3], "query"), atol=1e-6)
    np.testing.assert_allclose(passages, encoder.encode(TEXTS, "passage"), atol=1e-6)


def test_a_diverged_model_and_missing_texts_are_errors():
    class Diverged(Lengths):
        def encode(self, texts, role):
            vectors = super().encode(texts, role)
            vectors[-1] = np.nan if role == "passage" else 1.0
            return vectors

    with pytest.raises(EvaluationError, match=r"passage vectors from text 0 on row 1 holds NaN"):
        encode_set(Diverged(), SimpleNamespace(queries=["a"], passages=["b", "c"]))
    with pytest.raises(EvaluationError, match="the retrieval set has no query texts"):
        encode_set(Lengths(), SimpleNamespace(queries=None, passages=["b"]))
