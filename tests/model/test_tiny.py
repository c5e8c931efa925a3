"""The tiny encoder: the real architecture, loadable anywhere, the same bytes every time."""

import logging
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, XLMRobertaModel

from hbt_ray.corpus.sample import read_sample
from hbt_ray.errors import ConfigError
from hbt_ray.model.tiny import build_tiny_encoder


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [row[field] for row in read_sample().to_pylist() for field in ("question", "passage")]


@pytest.fixture(scope="module")
def encoder_dir(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> Path:
    directory = tmp_path_factory.mktemp("tiny")
    build_tiny_encoder(directory, texts)
    return directory


def test_it_is_xlm_r_with_few_parameters_and_no_pooler(encoder_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model, loading = AutoModel.from_pretrained(encoder_dir, add_pooling_layer=False, output_loading_info=True)
    assert isinstance(model, XLMRobertaModel)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert not caplog.records
    assert model.pooler is None
    assert 300_000 < sum(weights.numel() for weights in model.parameters()) <= 600_000


def test_special_tokens_are_those_of_xlm_r(encoder_dir: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder_dir)
    ids = tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"])
    assert ids == [0, 1, 2, 3]
    assert tokenizer.mask_token_id == len(tokenizer) - 1
    assert (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id) == (1, 0, 2)
    encoded = tokenizer(["Query: euro", "Query: What is the code of the euro?"], padding=True)
    assert all(row[0] == 0 and 2 in row for row in encoded["input_ids"])
    assert encoded["input_ids"][0][-1] == 1
    assert encoded["attention_mask"][0][-1] == 0
    assert tokenizer("a", "b")["input_ids"].count(2) == 3


def test_tokens_say_the_text_again_and_hardly_any_is_unknown(encoder_dir: Path, texts: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder_dir)
    ids = tokenizer(texts[::50], add_special_tokens=False)["input_ids"]
    flat = [token for row in ids for token in row]
    assert flat.count(3) / len(flat) < 0.001
    for text in ("what is the code of the euro?", "какие языки, и где?", "欧元的代码是什么?", "मुद्रा का कोड"):
        tokens = tokenizer(text)["input_ids"]
        assert 3 not in tokens
        assert tokenizer.decode(tokens, skip_special_tokens=True) == text


def test_it_reads_256_tokens(encoder_dir: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder_dir)
    encoded = tokenizer(["euro " * 500], truncation=True, return_tensors="pt")
    assert encoded["input_ids"].shape == (1, 256)
    model = AutoModel.from_pretrained(encoder_dir, add_pooling_layer=False)
    assert torch.isfinite(model(**encoded).last_hidden_state).all()


def test_sentence_transformers_loads_it(encoder_dir: Path) -> None:
    model = SentenceTransformer(str(encoder_dir), device="cpu")
    embeddings = model.encode(["Query: euro", "Passage: 欧元"])
    assert embeddings.shape == (2, 96)


def test_two_builds_write_the_same_bytes(encoder_dir: Path, texts: list[str], tmp_path: Path) -> None:
    torch.rand(1)  # whatever was drawn before must not matter
    before = torch.get_rng_state()
    build_tiny_encoder(tmp_path, reversed(texts))
    assert torch.equal(torch.get_rng_state(), before)
    names = sorted(path.name for path in encoder_dir.iterdir())
    assert "model.safetensors" in names
    assert "tokenizer.json" in names
    for name in names:
        assert (tmp_path / name).read_bytes() == (encoder_dir / name).read_bytes(), name


def test_the_seed_decides_the_weights(encoder_dir: Path, texts: list[str], tmp_path: Path) -> None:
    build_tiny_encoder(tmp_path, texts, seed=1)
    weights = (tmp_path / "model.safetensors").read_bytes()
    assert weights != (encoder_dir / "model.safetensors").read_bytes()
    assert (tmp_path / "tokenizer.json").read_bytes() == (encoder_dir / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(("sizes", "field"), [({"hidden_size": 50}, "hidden_size"), ({"num_layers": 0}, "num_layers")])
def test_sizes_that_cannot_be_used_are_refused(tmp_path: Path, sizes: dict[str, int], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        build_tiny_encoder(tmp_path, ["a text"], **sizes)


def test_a_vocabulary_below_the_alphabet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vocab_size = 10 "):
        build_tiny_encoder(tmp_path, ["the quick brown fox jumps over the lazy dog"] * 3, vocab_size=10)


def test_no_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="texts is empty"):
        build_tiny_encoder(tmp_path, [])
