import json

import pytest
import torch

from hbt_ray.config import TrainConfig
from hbt_ray.errors import ConfigError
from hbt_ray.model.encoder import Encoder
from hbt_ray.training import chunking
from hbt_ray.training.chunking import Chunking, choose_chunking, fastest, tokens_in_memory
from tests.model.models import write_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: Encoder.load(write_model(name, root / name)) for name in ("bert", "modernbert")}


def chosen(encoder, device=CPU, **train):
    return choose_chunking(TrainConfig(**train), encoder, device, precision="fp32")


def test_what_is_set_is_taken_and_measured_nowhere(encoders, monkeypatch):
    monkeypatch.setattr(chunking, "budget_speeds", None)
    asked = chosen(encoders["bert"], token_budget=500, kept_tokens=900)
    assert asked == Chunking(token_budget=500, kept_tokens=900, packed=True)
    assert not chosen(encoders["bert"], token_budget=500, packing="off").packed
    assert not chosen(encoders["bert"], token_budget=500, compile=True).packed
    assert not chosen(encoders["modernbert"], token_budget=500).packed
    assert not chosen(encoders["bert"], torch.device("meta"), token_budget=500, kept_tokens=1).packed


def test_packing_that_the_architecture_cannot_is_refused(encoders):
    with pytest.raises(ConfigError, match=r"train.packing='on' cannot be used with ModernBertModel.*auto and off"):
        chosen(encoders["modernbert"], packing="on")


def test_the_budget_is_measured_once_a_machine(encoders, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def speeds(encoder, device, *, packed, precision):
        calls.append((packed, precision))
        return {1024: 100.0, 2048: 120.0, 4096: 121.0}

    monkeypatch.setattr(chunking, "budget_speeds", speeds)
    assert [chosen(encoders["bert"]).token_budget for _ in range(3)] == [2048] * 3
    assert calls == [(True, "fp32")]
    (path,) = (tmp_path / "hbt_ray").glob("*.json")
    assert json.loads(path.read_text())["tokens_per_s"] == {"1024": 100.0, "2048": 120.0, "4096": 121.0}
    chosen(encoders["bert"], packing="off")  # another layout is another question
    assert calls == [(True, "fp32"), (False, "fp32")]


def test_measuring_leaves_the_encoder_as_it_was(encoders, monkeypatch):
    monkeypatch.setattr(chunking, "BUDGETS", {"cpu": (64, 128), "cuda": ()})
    encoder = encoders["bert"]
    before = {name: p.clone() for name, p in encoder.named_parameters()}
    encoder.eval()
    speeds = chunking.budget_speeds(encoder, CPU, packed=True, precision="fp32")
    assert speeds[64] > 0
    assert not encoder.training
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in encoder.named_parameters())


@pytest.mark.parametrize(
    ("speeds", "best"),
    [({1: 10.0}, 1), ({1: 10.0, 2: 10.2}, 1), ({1: 10.0, 2: 12.0, 4: 12.1}, 2), ({1: 10.0, 2: 10.2, 4: 10.5}, 4)],
)
def test_a_larger_budget_must_be_worth_its_memory(speeds, best):
    assert fastest(speeds) == best


def test_workers_share_the_memory_and_checkpointing_saves_it(encoders, tmp_path):
    encoder = encoders["bert"]
    alone, two = (tokens_in_memory(encoder, CPU, workers) for workers in (1, 2))
    assert alone // 2 == pytest.approx(two, abs=1)
    saving = Encoder.load(write_model("bert", tmp_path / "bert"), gradient_checkpointing=True)
    assert tokens_in_memory(saving, CPU, 1) > 1.5 * alone
