import copy
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

from hbt_ray.errors import ConfigError
from hbt_ray.model.chunks import pad_ragged
from hbt_ray.model.encoder import Encoder
from tests.model.models import SIZE, TEXTS, tokenizer

CASES = [
    (architecture, pooling)
    for architecture, poolings in {
        "xlm-roberta": ("mean", "cls", "pooler"),
        "bert": ("mean", "cls", "pooler"),
        "modernbert": ("mean", "cls"),
    }.items()
    for pooling in poolings
]


def tensors(encoder, texts, role="passage"):
    tokens = encoder.tokenize(texts, role)
    lengths = np.array([len(ids) for ids in tokens])
    ids, mask = pad_ragged(np.concatenate(tokens), lengths, encoder.tokenizer.pad_token_id)
    return torch.from_numpy(ids).long(), torch.from_numpy(mask)


@pytest.mark.parametrize(("architecture", "pooling"), CASES)
def test_forward_pools_real_tokens_and_normalises(model_directory, architecture, pooling):
    encoder = Encoder.load(model_directory(architecture), pooling=pooling)
    ids, mask = tensors(encoder, TEXTS)
    with torch.no_grad():
        vectors = encoder(ids, mask)
        output = encoder.backbone(input_ids=ids, attention_mask=mask)
    for row, count in enumerate(mask.sum(dim=1)):
        states = output.last_hidden_state[row, :count]
        expected = {"mean": states.mean(dim=0), "cls": states[0]}
        if pooling == "pooler":
            expected["pooler"] = output.pooler_output[row]
        expected = expected[pooling] / expected[pooling].norm()
        torch.testing.assert_close(vectors[row], expected, rtol=0, atol=1e-6)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(TEXTS)))


@pytest.mark.parametrize(("architecture", "pooling"), [*CASES, ("albert", "mean"), ("albert", "pooler")])
def test_every_trained_parameter_receives_a_gradient(model_directory, architecture, pooling):
    """DDP stops at the first parameter without one: that is what an unused pooler would be."""
    encoder = Encoder.load(model_directory(architecture), pooling=pooling).train()
    encoder(*tensors(encoder, TEXTS)).square().sum().sub(encoder.dim).mul(torch.rand(())).backward()
    missing = [name for name, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing
    assert any("pooler" in name for name, p in encoder.named_parameters() if p.requires_grad) == (pooling == "pooler")


def test_encode_does_not_depend_on_budget_or_order(model_directory):
    encoder = Encoder.load(model_directory("xlm-roberta"), query_prefix="Query: ").train()
    one = encoder.encode(TEXTS, "query", token_budget=1)
    assert encoder.training
    assert one.dtype == np.float32
    for budget in (40, 200, None):
        np.testing.assert_allclose(encoder.encode(TEXTS, "query", token_budget=budget), one, atol=1e-6)
    tokens = [np.array(ids, dtype=np.int32) for ids in encoder.tokenize(TEXTS, "query")]
    np.testing.assert_allclose(encoder.encode_tokens(tokens), one, atol=1e-6)
    assert encoder.encode([], "query").shape == (0, encoder.dim)
    with pytest.raises(ValueError, match="text 1 has no tokens"):
        encoder.encode_tokens([[0, 2], []])


def test_mode_is_restored_when_encoding_fails(model_directory):
    encoder = Encoder.load(model_directory("bert")).train()
    with pytest.raises(IndexError):
        encoder.encode_tokens([[0, 10_000, 2]])
    assert encoder.training


def test_tokenize_puts_the_prefix_in_front_and_cuts_to_the_role(model_directory):
    encoder = Encoder.load(model_directory("bert"), query_prefix="Query: ", max_query_tokens=8, max_passage_tokens=40)
    queries, passages = encoder.tokenize(TEXTS, "query"), encoder.tokenize(TEXTS, "passage")
    assert [len(ids) for ids in queries] == [min(len(ids), 8) for ids in queries]
    assert max(map(len, queries)) == 8
    assert max(map(len, passages)) > 8
    for ids in [*queries, *passages]:
        assert (ids[0], ids[-1]) == (0, 2)
    whole = encoder.tokenizer("Query: " + TEXTS[6])["input_ids"]
    assert queries[6] == [*whole[:7], 2] if len(whole) > 8 else whole
    assert passages[6] == encoder.tokenizer(TEXTS[6])["input_ids"]
    assert encoder.tokenize([], "query") == []
    with pytest.raises(ConfigError, match="role is 'title'"):
        encoder.tokenize(TEXTS, "title")


@pytest.mark.parametrize(("architecture", "capacity"), [("xlm-roberta", 64), ("bert", 64), ("modernbert", 64)])
def test_lengths_stay_within_what_the_model_reads(model_directory, architecture, capacity):
    path = model_directory(architecture)
    encoder = Encoder.load(path)
    assert encoder.max_tokens == {"query": capacity, "passage": capacity}
    encoder.encode(["ferry " * 200], "passage")  # the last position exists
    with pytest.raises(ConfigError, match=f"max_passage_tokens is {capacity + 1}; allowed is 4 to {capacity}"):
        Encoder.load(path, max_passage_tokens=capacity + 1)
    with pytest.raises(ConfigError, match="max_query_tokens is 0; allowed"):
        Encoder.load(path, max_query_tokens=0)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "bert", "modernbert"])
def test_gradient_checkpointing_changes_no_gradient(model_directory, architecture):
    gradients = []
    for checkpointing in (False, True):
        encoder = Encoder.load(model_directory(architecture), gradient_checkpointing=checkpointing)
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        encoder.train()
        ids, mask = tensors(encoder, TEXTS)
        vectors = encoder(ids, mask)
        (vectors @ torch.linspace(-1, 1, encoder.dim)).square().sum().backward()
        gradients.append([p.grad for p in encoder.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_vectors_are_float32_of_length_one_under_autocast(model_directory):
    encoder = Encoder.load(model_directory("bert"))
    ids, mask = tensors(encoder, TEXTS)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = encoder(ids, mask)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(TEXTS)), rtol=0, atol=1e-6)


def test_pooler_is_refused_where_the_architecture_has_none(model_directory):
    with pytest.raises(ConfigError, match=r"ModernBertModel, which has no pooler.*allowed are mean and cls"):
        Encoder.load(model_directory("modernbert"), pooling="pooler")


def test_a_copy_is_an_encoder_of_its_own(model_directory):
    encoder = Encoder.load(model_directory("bert"))
    twin = copy.deepcopy(encoder)
    with torch.no_grad():
        next(twin.parameters())[:, 0].add_(1.0)
    assert np.abs(twin.encode(TEXTS, "query") - encoder.encode(TEXTS, "query")).max() > 1e-3


def test_unknown_models_are_one_clear_error(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    for name, reason in {
        str(tmp_path / "absent"): "no such directory",
        str(tmp_path / "empty"): "no config.json",
        "nobody/no-such-model": "not in the local cache",
        "not a name!": "cannot be loaded",
    }.items():
        with pytest.raises(ConfigError, match=reason) as caught:
            Encoder.load(name)
        message = str(caught.value)
        assert "\n" not in message
        assert repr(name) in message
        assert "give the path of a Hugging Face or sentence-transformers directory" in message


def test_a_language_model_checkpoint_is_an_encoder(tmp_path):
    """What the hub holds for XLM-RoBERTa: weights under a prefix, beside a head that is not used."""
    config = XLMRobertaConfig(**SIZE, max_position_embeddings=66, pad_token_id=1)
    model = XLMRobertaForMaskedLM(config).eval()
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    encoder = Encoder.load(tmp_path)
    ids, mask = tensors(encoder, TEXTS)
    with torch.no_grad():
        states = model.roberta(ids, mask).last_hidden_state
        assert torch.equal(encoder.backbone(ids, mask).last_hidden_state, states)


def test_weights_that_are_not_in_the_files_are_an_error(model_directory, tmp_path):
    """Transformers would go on with random ones."""
    Encoder.load(model_directory("bert")).save(tmp_path / "without-pooler")
    with pytest.raises(ConfigError, match=r"no weights for pooler\.dense\.bias, pooler\.dense\.weight"):
        Encoder.load(tmp_path / "without-pooler", pooling="pooler")


def test_unknown_settings_name_what_is_allowed(model_directory):
    with pytest.raises(ConfigError, match="pooling is 'max'; allowed are auto, mean, cls, pooler"):
        Encoder.load(model_directory("bert"), pooling="max")
    with pytest.raises(ConfigError, match=r"attn_implementation|attention"):
        Encoder.load(model_directory("bert"), attn_implementation="no-such-kernel")


def test_a_model_without_its_tokenizer_is_refused(model_directory, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(model_directory("bert"), copy)
    for path in copy.iterdir():
        if path.name.startswith(("tokenizer", "vocab", "special_tokens")):
            path.unlink()
    with pytest.raises(ConfigError, match=r"tokenizer"):
        Encoder.load(copy)


def test_weights_that_are_not_finite_are_refused(model_directory, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(model_directory("bert"), broken)
    (file,) = broken.glob("*.safetensors")
    weights = load_file(file)
    name = next(name for name in weights if name.endswith("encoder.layer.0.output.dense.weight"))
    weights[name][0, 0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"broken': the weights .*output\.dense\.weight are NaN or infinite"):
        Encoder.load(broken)
