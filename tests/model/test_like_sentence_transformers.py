"""Directories of others give the vectors that sentence-transformers gives, whatever their architecture and settings."""

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.tokens import RoleTokenizer
from hbt_ray.errors import ConfigError
from hbt_ray.model.encoder import Encoder
from hbt_ray.retrieval.encoding.ray_encode import EncoderSpec
from tests.model.models import ARCHITECTURES, TEXTS

SAME = 1e-5
LONG = [*TEXTS, " ".join(TEXTS) * 3]
EAGER = {"mpnet", "deberta", "deberta-v2", "xlm", "xlnet"}


def st_directory(model_directory, path, architecture="bert", normalize=False, similarity=None, **settings):
    """A sentence-transformers directory, saved by the library itself."""
    parts = [st.Transformer(str(model_directory(architecture)), **settings), st.Pooling(32, pooling_mode="mean")]
    parts += [st.Normalize()] if normalize else []
    SentenceTransformer(modules=parts, device="cpu", similarity_fn_name=similarity).save(str(path))
    return path


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_common_architecture_is_read_alike(model_directory, tmp_path, architecture):
    path = st_directory(model_directory, tmp_path / "st", architecture, max_seq_length=40)
    encoder = Encoder.load(path)
    theirs = SentenceTransformer(str(path), device="cpu")
    expected = theirs.encode(LONG, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(LONG, "passage"), expected, rtol=0, atol=SAME)
    assert bool(encoder.notes) == (architecture in EAGER)
    encoder.save(tmp_path / "saved")
    again = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(again.encode_document(LONG), expected, rtol=0, atol=SAME)


def test_attention_that_was_asked_for_is_not_exchanged(model_directory):
    assert not Encoder.load(model_directory("mpnet"), attn_implementation="eager").notes
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Encoder.load(model_directory("mpnet"), attn_implementation="flash_attention_2")


@pytest.mark.parametrize(
    ("normalize", "similarity", "compared"),
    [
        (False, None, "cosine"),
        (False, "cosine", "cosine"),
        (False, "dot", "dot"),
        (True, "dot", "cosine"),  # of unit vectors it is the same
        (True, "euclidean", "cosine"),
    ],
)
def test_a_directory_is_scored_by_its_similarity(model_directory, tmp_path, normalize, similarity, compared):
    path = st_directory(model_directory, tmp_path / "st", normalize=normalize, similarity=similarity)
    theirs = SentenceTransformer(str(path), device="cpu")
    encoder = Encoder.load(path, similarity="auto")
    assert encoder.similarity == compared
    vectors = encoder.encode(TEXTS, "passage")
    if similarity != "euclidean":
        expected = theirs.similarity(theirs.encode(TEXTS), theirs.encode(TEXTS))
        np.testing.assert_allclose(vectors @ vectors.T, expected, rtol=1e-5, atol=SAME)
    encoder.save(tmp_path / "saved")
    assert Encoder.load(tmp_path / "saved", similarity="auto").similarity == compared
    saved = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert saved.similarity_fn_name == compared
    np.testing.assert_allclose(saved.encode(TEXTS), vectors, rtol=0, atol=SAME)
    assert np.allclose(np.linalg.norm(Encoder.load(path).encode(TEXTS, "passage"), axis=1), 1)  # as it is trained
    prints = {
        EncoderSpec.of(Encoder.load(path, similarity=one), str(path)).fingerprint("query") for one in ("cosine", "dot")
    }
    assert len(prints) == 2


def test_another_similarity_is_refused(model_directory, tmp_path):
    path = st_directory(model_directory, tmp_path / "st", similarity="manhattan")
    with pytest.raises(ConfigError, match="similarity is 'manhattan'; allowed are cosine, dot"):
        Encoder.load(path, similarity="auto")


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"])
def test_lengths_are_read_under_older_names(model_directory, tmp_path, name):
    path = st_directory(model_directory, tmp_path / "st", max_seq_length=20)
    (path / "sentence_bert_config.json").unlink()
    (path / f"sentence_{name}_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": False}))
    theirs = SentenceTransformer(str(path), device="cpu")
    encoder = Encoder.load(path)
    assert encoder.max_tokens["passage"] == theirs.max_seq_length == 12
    expected = theirs.encode(LONG, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(LONG, "passage"), expected, rtol=0, atol=SAME)


@pytest.mark.parametrize(("saved", "tokenizer"), [(None, 30), (None, 1000), (50, 30), (30, 50), (None, None)])
def test_lengths_are_those_of_sentence_transformers(model_directory, tmp_path, saved, tokenizer):
    path = st_directory(model_directory, tmp_path / "st")
    config = json.loads((path / "sentence_bert_config.json").read_text())
    config.pop("max_seq_length", None)
    (path / "sentence_bert_config.json").write_text(json.dumps(config | ({"max_seq_length": saved} if saved else {})))
    settings = json.loads((path / "tokenizer_config.json").read_text())
    settings.pop("model_max_length", None)
    settings |= {"model_max_length": tokenizer} if tokenizer else {}
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    theirs = SentenceTransformer(str(path), device="cpu")
    assert Encoder.load(path).max_tokens == dict.fromkeys(("query", "passage"), theirs.max_seq_length)


def test_a_text_beyond_its_length_is_cut_alike_by_role(model_directory, tmp_path):
    encoder = Encoder.load(
        model_directory("bert"),
        query_prefix="Query: ",
        passage_prefix="P: ",
        max_query_tokens=12,
        max_passage_tokens=40,
    )
    encoder.save(tmp_path / "saved")
    theirs = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(theirs.encode_query(LONG), encoder.encode(LONG, "query"), rtol=0, atol=SAME)
    np.testing.assert_allclose(theirs.encode_document(LONG), encoder.encode(LONG, "passage"), rtol=0, atol=SAME)
    assert Encoder.load(tmp_path / "saved").max_tokens == {"query": 12, "passage": 40}
    (tmp_path / "saved" / "hbt_encoder.json").unlink()
    assert Encoder.load(tmp_path / "saved").max_tokens == {"query": 12, "passage": 40}


def test_a_tokenizer_of_another_model_is_refused(model_directory, tmp_path):
    path = st_directory(model_directory, tmp_path / "st")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
    tokenizer.add_tokens(["one", "more"])
    tokenizer.save_pretrained(path)
    with pytest.raises(ConfigError, match=r"tokenizer has \d+ tokens, its embeddings only 120"):
        Encoder.load(path)


def test_a_text_without_tokens_is_named(model_directory, tmp_path):
    path = st_directory(model_directory, tmp_path / "st")
    words = Tokenizer(models.BPE({"<pad>": 0, **{chr(60 + n): n for n in range(1, 90)}}, []))
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>").save_pretrained(path)
    encoder = Encoder.load(path)
    assert encoder.encode(["ab"], "query").shape == (1, 32)
    with pytest.raises(ConfigError, match="makes no token of the text '日本'"):
        encoder.encode(["ab", "日本"], "query")
    tokenizer = RoleTokenizer(str(path), CorpusConfig())
    assert tokenizer(["ab", ""], "query")[1].tolist() == [2, 0]
    with pytest.raises(ConfigError, match="makes no token of the text '日本'"):
        tokenizer(["ab", "日本"], "passage")
