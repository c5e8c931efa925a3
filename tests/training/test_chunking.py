import pytest
import torch

from hbt_ray.config import TrainConfig
from hbt_ray.errors import ConfigError
from hbt_ray.model.encoder import Encoder
from hbt_ray.training.chunking import TOKEN_BUDGET, Chunking, choose_chunking, tokens_in_memory
from tests.model.models import write_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: Encoder.load(write_model(name, root / name)) for name in ("bert", "modernbert")}


def chosen(encoder, device=CPU, **train):
    return choose_chunking(TrainConfig(**train), encoder, device)


def test_what_is_set_is_taken(encoders):
    asked = chosen(encoders["bert"], token_budget=500, kept_tokens=900)
    assert asked == Chunking(token_budget=500, kept_tokens=900, packed=True)
    assert not chosen(encoders["bert"], token_budget=500, packing="off").packed
    assert not chosen(encoders["bert"], token_budget=500, compile=True).packed
    assert not chosen(encoders["modernbert"], token_budget=500).packed
    assert not chosen(encoders["bert"], torch.device("meta"), token_budget=500, kept_tokens=1).packed


def test_packing_that_the_architecture_cannot_is_refused(encoders):
    with pytest.raises(ConfigError, match=r"train.packing='on' cannot be used with ModernBertModel.*auto and off"):
        chosen(encoders["modernbert"], packing="on")


def test_the_budget_is_one_of_the_device_that_fits_in_memory(encoders):
    encoder = encoders["bert"]
    assert chosen(encoder).token_budget == TOKEN_BUDGET["cpu"]
    assert chosen(encoder).kept_tokens == tokens_in_memory(encoder, CPU, 1) > TOKEN_BUDGET["cpu"]
    many = tokens_in_memory(encoder, CPU, 1) // 500
    crowded = choose_chunking(TrainConfig(), encoder, CPU, workers_on_node=many)
    assert crowded.token_budget == crowded.kept_tokens == tokens_in_memory(encoder, CPU, many) < TOKEN_BUDGET["cpu"]


def test_workers_share_the_memory_and_checkpointing_saves_it(encoders, tmp_path):
    encoder = encoders["bert"]
    alone, two = (tokens_in_memory(encoder, CPU, workers) for workers in (1, 2))
    assert alone // 2 == pytest.approx(two, abs=1)
    saving = Encoder.load(write_model("bert", tmp_path / "bert"), gradient_checkpointing=True)
    assert tokens_in_memory(saving, CPU, 1) > 1.5 * alone
