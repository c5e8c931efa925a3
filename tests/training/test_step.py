"""A step with recomputed chunks has the gradients of one that keeps them all (`tests.losses`: of plain autograd)."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hbt_ray.losses.contrastive import ContrastiveLoss
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.grad_cache import num_recomputed
from hbt_ray.training.batch import collate
from hbt_ray.training.step import ContrastiveStep, StepSeed
from tests.model.models import write_model
from tests.training.test_batch import with_tokens

TOLERANCE = 1e-5
ROWS = 12


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    return {name: write_model(name, root / name) for name in ("xlm-roberta", "modernbert")}


def batch_of(*, packed, token_budget=24, seed=0, num_negatives=2):
    part = with_tokens(np.random.default_rng(seed), ROWS, num_negatives)
    return collate(part, pad_id=1, token_budget=token_budget, packed=packed)


def step_of(base, **settings):
    encoder = Encoder.load(base, **settings).train()
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1  # ModernBERT has none of its own accord
    losses = {"info_nce": 0.5, "symmetric": 0.5}
    return ContrastiveStep(encoder, ContrastiveLoss(losses, temperature=0.1, learned_temperature=True))


def gradients(step, batch, *, kept_tokens, precision="fp32"):
    step = copy.deepcopy(step)
    step.kept_tokens = kept_tokens
    last, loss, stats = step(batch, StepSeed(1, 2, 0), precision)
    last.backward()
    return {name: p.grad for name, p in step.named_parameters() if p.requires_grad}, loss, stats


def assert_same(found, expected, tolerance=TOLERANCE):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        # the exact gradient of a key's bias is zero: what is there is rounding, of the size of its weight's
        scale = float(expected[name.replace("key.bias", "key.weight")].abs().max())
        assert scale > 0, name
        assert float((found[name] - gradient).abs().max()) <= tolerance * scale, name


@pytest.mark.parametrize(
    ("architecture", "packed"), [("xlm-roberta", False), ("xlm-roberta", True), ("modernbert", False)]
)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recomputed_chunks_change_no_gradient(bases, monkeypatch, architecture, packed, checkpointing, precision):
    # bf16 on any CPU: slow where it is emulated, which a test may be
    monkeypatch.setattr("hbt_ray.model.precision._bf16_hardware", lambda device: (True, "tested"))
    step = step_of(bases[architecture], gradient_checkpointing=checkpointing)
    batch = batch_of(packed=packed)
    assert len(batch.chunks) >= 4
    kept, loss, stats = gradients(step, batch, kept_tokens=10**9, precision=precision)
    for kept_tokens in (0, 2 * 24, 3 * 24):
        cached, cached_loss, cached_stats = gradients(step, batch, kept_tokens=kept_tokens, precision=precision)
        assert torch.equal(cached_loss, loss)
        assert torch.equal(cached_stats.row_loss, stats.row_loss)
        # in bf16 the order in which chunks are added up shows in the last bits of a bf16 sum
        assert_same(cached, kept, TOLERANCE if precision == "fp32" else 0.02)
    dropped = gradients(step, batch, kept_tokens=0)[1]
    step.eval()
    assert float(gradients(step, batch, kept_tokens=0)[1]) != float(dropped), "dropout was not at work"


def test_packed_and_padded_chunks_of_any_budget_have_one_gradient(bases):
    step = step_of(bases["xlm-roberta"]).eval()
    expected, loss, _ = gradients(step, batch_of(packed=False, token_budget=10_000), kept_tokens=0)
    for packed in (False, True):
        for budget in (1, 17, 60):
            found, again, _ = gradients(step, batch_of(packed=packed, token_budget=budget), kept_tokens=30)
            assert float(again) == pytest.approx(float(loss), rel=1e-5)
            assert_same(found, expected)


def test_each_step_rank_and_chunk_draws_its_own_numbers():
    drawn = set()
    for seed in (0, 1):
        for step in range(3):
            for rank in range(2):
                for chunk in range(3):
                    StepSeed(seed, step, rank).plant(chunk)
                    drawn.add(float(torch.rand(())))
    assert len(drawn) == 2 * 3 * 2 * 3
    StepSeed(1, 2, 0).plant(1)
    first = torch.rand(3)
    StepSeed(1, 2, 0).plant(1)
    assert torch.equal(torch.rand(3), first)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(0, 400))
def test_as_many_chunks_are_kept_as_fit_beside_the_one_at_work(sizes, kept_tokens):
    recomputed = num_recomputed(sizes, kept_tokens)
    assert 0 <= recomputed <= len(sizes)
    kept = sizes[recomputed:]
    if recomputed:
        assert len(sizes) > 1
        assert sum(sizes) > kept_tokens
        assert sum(kept) + max(sizes) <= kept_tokens or not kept
        assert sum(kept) + sizes[recomputed - 1] + max(sizes) > kept_tokens
    else:
        assert sum(sizes) <= kept_tokens or len(sizes) == 1
