import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hbt_ray.config import TrainConfig
from hbt_ray.training.optim import DECAYS, lr_factor, make_optimizer, make_scheduler


@given(st.integers(1, 5000), st.floats(0, 0.9), st.sampled_from(sorted(DECAYS)))
def test_the_rate_rises_to_one_at_the_end_of_warm_up_and_falls_to_zero_at_the_end(steps, warmup, decay):
    config = TrainConfig(steps=steps, warmup=warmup, decay=decay)
    end = round(warmup * steps)
    factors = [lr_factor(step, config) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[:end] == sorted(set(factors[:end]))
    if end < steps:
        assert factors[end] == 1
        assert factors[end:] == sorted(factors[end:], reverse=True)
        assert lr_factor(steps, config) == pytest.approx(1.0 if decay == "constant" else 0.0, abs=1e-12)


def test_shapes():
    linear, cosine, constant = (
        TrainConfig(steps=100, warmup=0.2, decay=decay) for decay in ("linear", "cosine", "constant")
    )
    assert lr_factor(0, linear) == pytest.approx(1 / 21, abs=1e-12)
    assert lr_factor(60, linear) == pytest.approx(0.5, abs=1e-12)
    assert lr_factor(60, cosine) == pytest.approx(0.5, abs=1e-12)
    assert lr_factor(40, cosine) == pytest.approx((1 + math.cos(math.pi / 4)) / 2, abs=1e-12)
    assert lr_factor(99, constant) == 1


def test_the_scheduler_follows_the_factor():
    config = TrainConfig(steps=20, warmup=0.25, lr=2e-3, decay="cosine")
    optimizer = make_optimizer(nn.Linear(3, 2), config)
    scheduler = make_scheduler(optimizer, config)
    for step in range(20):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(2e-3 * lr_factor(step, config), rel=1e-12)
        optimizer.step()
        scheduler.step()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.linear = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.temperature = nn.Parameter(torch.tensor(1.0))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def test_weight_decay_is_on_matrices_only_and_frozen_parameters_are_left_out():
    model, config = Model(), TrainConfig(lr=1e-3, weight_decay=0.3)
    optimizer = make_optimizer(model, config)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {group["weight_decay"]: {names[id(p)] for p in group["params"]} for group in optimizer.param_groups}
    assert groups == {
        0.3: {"embedding.weight", "linear.weight"},
        0.0: {"linear.bias", "norm.weight", "norm.bias", "temperature"},
    }
    assert {group["lr"] for group in optimizer.param_groups} == {1e-3}


def test_without_vectors_there_is_one_group():
    optimizer = make_optimizer(nn.Linear(2, 2, bias=False), TrainConfig())
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01]
