"""The wrapper against the calls that MTEB makes, with the batches of a real DataLoader."""

import enum

import numpy as np
import pytest
from torch.utils.data import DataLoader

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.mteb_wrapper import MtebModel
from hbt_ray.model.encoder import Encoder

TEXTS = [f"text number {number}" for number in range(7)]


class PromptType(enum.Enum):
    """As in mteb 2."""

    query = "query"
    document = "document"


@pytest.fixture(scope="module")
def encoder(small_base):
    return Encoder.load(small_base, query_prefix="Query: ", passage_prefix="Passage: ")


def batches(rows):
    return DataLoader(rows, batch_size=3)


@pytest.mark.parametrize(
    ("prompt_type", "role"), [(PromptType.query, "query"), (PromptType.document, "passage"), (None, "query")]
)
def test_mteb_2(encoder, prompt_type, role):
    rows = [{"text": text, "title": "", "body": text} for text in TEXTS]
    got = MtebModel(encoder, "owner/name").encode(
        batches(rows),
        task_metadata=object(),
        hf_split="test",
        hf_subset="default",
        prompt_type=prompt_type,
        batch_size=3,
    )
    np.testing.assert_array_equal(got, encoder.encode(TEXTS, role))


def test_mteb_1(encoder):
    got = MtebModel(encoder, "owner/name").encode(TEXTS, task_name="T", prompt_type="passage", batch_size=3)
    np.testing.assert_array_equal(got, encoder.encode(TEXTS, "passage"))


def test_similarities_are_cosines(encoder):
    model = MtebModel(encoder, "owner/name")
    vectors = model.encode(TEXTS)
    want = vectors @ vectors.T
    np.testing.assert_allclose(model.similarity(vectors, vectors).numpy(), want, atol=1e-6)
    np.testing.assert_allclose(model.similarity(vectors[0], vectors).numpy(), want[:1], atol=1e-6)
    np.testing.assert_allclose(model.similarity_pairwise(vectors, vectors).numpy(), np.diag(want), atol=1e-6)


def test_what_is_not_text_is_refused(encoder):
    model = MtebModel(encoder, "owner/name")
    with pytest.raises(EvaluationError, match="holds image, but no texts"):
        model.encode(batches([{"image": 1}]))
    with pytest.raises(EvaluationError, match="prompt_type is 'answer'; allowed are query"):
        model.encode(TEXTS, prompt_type="answer")
