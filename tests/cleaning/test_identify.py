import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from hbt_ray.cleaning import identify
from hbt_ray.cleaning.identify import identifier


@pytest.fixture(scope="module")
def reference():
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def assert_as_one_by_one(texts, reference):
    found = identifier().probabilities(texts)
    assert found.shape == (len(texts), len(identifier().langs))
    for text, row in zip(texts, found, strict=True):
        expected = dict(reference.rank(text))
        np.testing.assert_allclose(row, [expected[lang] for lang in identifier().langs], rtol=2e-4, atol=1e-6)


def test_real_texts_in_many_languages(reference, small_input, monkeypatch):
    import pyarrow.parquet as pq

    monkeypatch.setattr(identify, "AT_ONCE", 37)
    texts = [
        row["passage"][:length]
        for path in sorted(small_input.glob("*.parquet"))
        for row, length in zip(pq.read_table(path).to_pylist()[:60], [5, 30, 100, 400] * 15, strict=True)
    ]
    assert len(texts) == 240
    assert_as_one_by_one([*texts, *(text.upper() for text in texts)], reference)


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=())), max_size=8))
def test_any_texts(reference, texts):
    assert_as_one_by_one([*texts, ""], reference)


def test_no_texts():
    assert identifier().probabilities([]).shape == (0, len(identifier().langs))
