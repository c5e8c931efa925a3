import copy

import numpy as np
import pytest
import torch

from hbt_ray.model.chunks import make_chunks
from hbt_ray.model.dropout import FastDropout, draw_kept, use_fast_dropout
from hbt_ray.model.encoder import Encoder
from tests.model.models import TEXTS

TOLERANCE = 1e-5
CASES = [("xlm-roberta", "mean"), ("xlm-roberta", "cls"), ("bert", "mean"), ("bert", "pooler")]


def chunks_of(encoder, texts, *, packed, token_budget=60):
    tokens = encoder.tokenize(texts, "passage")
    lengths = np.array([len(ids) for ids in tokens], np.int32)
    pad_id = encoder.tokenizer.pad_token_id
    chunks = make_chunks(np.concatenate(tokens), lengths, token_budget=token_budget, packed=packed, pad_id=pad_id)
    return list(chunks)


def vectors_of(encoder, chunks):
    vectors = torch.cat([encoder.forward_chunk(chunk) for chunk in chunks])
    return vectors[torch.argsort(torch.cat([chunk.rows for chunk in chunks]))]


def gradients(encoder, vectors):
    (vectors @ torch.linspace(-1, 1, encoder.dim)).square().sum().backward()
    return {name: p.grad for name, p in encoder.named_parameters() if p.requires_grad}


def assert_same_gradients(found, expected):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        # a shift of all keys changes no softmax: the exact gradient of their bias is zero, what is there is rounding
        scale = expected[name.replace("key.bias", "key.weight")].abs().max()
        torch.testing.assert_close(found[name] / scale, gradient / scale, rtol=0, atol=TOLERANCE, msg=name)


@pytest.mark.parametrize(("architecture", "pooling"), CASES)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_texts_have_the_vectors_and_gradients_of_padded_ones(
    model_directory, architecture, pooling, checkpointing
):
    texts = [*TEXTS, *TEXTS[:3], TEXTS[0] * 2]
    encoder = Encoder.load(
        model_directory(architecture), pooling=pooling, max_passage_tokens=60, gradient_checkpointing=checkpointing
    )
    assert encoder.packs
    other = copy.deepcopy(encoder)
    if checkpointing:  # only active in training; with no dropout that computes the same
        for module in (*encoder.modules(), *other.modules()):
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        encoder.train()
        other.train()
    padded = vectors_of(encoder, chunks_of(encoder, texts, packed=False))
    packed = vectors_of(other, chunks_of(other, texts, packed=True))
    torch.testing.assert_close(packed, padded, rtol=0, atol=1e-6)
    assert_same_gradients(gradients(other, packed), gradients(encoder, padded))


def test_architectures_that_cannot_be_packed_say_so(model_directory):
    assert not Encoder.load(model_directory("modernbert")).packs
    assert not Encoder.load(model_directory("albert")).packs
    assert not Encoder.load(model_directory("bert"), attn_implementation="eager").packs


def test_the_saved_model_names_no_attention_of_ours(model_directory, tmp_path):
    Encoder.load(model_directory("bert")).save(tmp_path / "saved")
    assert "hbt_packed" not in (tmp_path / "saved" / "config.json").read_text()


def reference_attention(q, k, v, blocks, keep, p, scale):
    """Softmax attention with a given dropout mask, text by text, in ordinary autograd."""
    out, start, done = [], 0, 0
    for num, length in blocks:
        masks = keep[done : done + num * len(q) * length * length].view(num, len(q), length, length)
        done += masks.numel()
        for text in range(num):
            rows = slice(start, start + length)
            weights = (q[:, rows] @ k[:, rows].transpose(1, 2) * scale).softmax(-1)
            out.append((weights * masks[text] / (1 - p) @ v[:, rows]).transpose(0, 1))
            start += length
    return torch.cat(out)


def test_attention_with_dropout_and_its_gradient_equal_the_definition():
    from hbt_ray.model.packed_attention import attend

    heads, size, p, scale = 3, 5, 0.3, 0.4
    blocks = ((1, 7), (3, 4), (2, 1))
    num = sum(n * length for n, length in blocks)
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(1, heads, num, size, generator=generator, dtype=torch.float64) for _ in range(3)]
    theirs = [states.clone() for states in ours]
    for states in (*ours, *theirs):
        states.requires_grad_()
    torch.manual_seed(5)
    out, _ = attend(None, *ours, None, dropout=p, scaling=scale, blocks=blocks)
    torch.manual_seed(5)
    keep = draw_kept(heads * sum(n * length * length for n, length in blocks), p)
    expected = reference_attention(*(states[0] for states in theirs), blocks, keep.double(), p, scale)
    # weights are rounded to float32 in between
    torch.testing.assert_close(out[0], expected, rtol=0, atol=1e-6)
    weight = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    (out[0] * weight).sum().backward()
    (expected * weight).sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=0, atol=1e-6)


def test_texts_do_not_see_each_other(model_directory):
    encoder = Encoder.load(model_directory("bert")).eval()
    with torch.no_grad():
        (together,) = chunks_of(encoder, TEXTS, packed=True, token_budget=10_000)
        vectors = encoder.forward_chunk(together)[torch.argsort(together.rows)]
        for row, text in enumerate(TEXTS):
            (alone,) = chunks_of(encoder, [text], packed=True)
            torch.testing.assert_close(encoder.forward_chunk(alone)[0], vectors[row], rtol=0, atol=1e-6)


def test_dropout_drops_its_share_and_keeps_the_mean():
    values = torch.ones(400_000, requires_grad=True)
    torch.manual_seed(3)
    dropped = FastDropout(0.1)(values)
    assert abs(float((dropped == 0).float().mean()) - 0.1) < 0.002  # four standard deviations
    assert set(dropped.unique().tolist()) == {0.0, float(torch.tensor(1 / 0.9))}
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, dropped.detach())  # the same elements, the same factor
    torch.manual_seed(3)
    assert torch.equal(FastDropout(0.1)(values), dropped)
    assert FastDropout(0.1).eval()(values) is values


def test_every_dropout_of_a_model_is_replaced(model_directory):
    encoder = Encoder.load(model_directory("bert"))
    use_fast_dropout(encoder.backbone)
    kinds = {type(module) for module in encoder.modules() if isinstance(module, torch.nn.Dropout)}
    assert kinds == {FastDropout}
