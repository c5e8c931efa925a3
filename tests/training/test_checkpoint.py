import dataclasses
import json

import numpy as np
import pytest
import torch

from hbt_ray.config import TrainConfig
from hbt_ray.errors import ConfigError
from hbt_ray.losses.contrastive import ContrastiveLoss
from hbt_ray.model.encoder import Encoder
from hbt_ray.training.batch import collate
from hbt_ray.training.checkpoint import checkpoint_writer, load_checkpoint
from hbt_ray.training.optim import make_optimizer, make_scheduler
from hbt_ray.training.run import STATE, VERSION, RunState, read_state
from hbt_ray.training.step import ContrastiveStep, StepSeed
from tests.batches.test_slices import random_slice
from tests.model.models import write_model

CONFIG = TrainConfig(steps=10, lr=1e-2, warmup=0.2)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_model("xlm-roberta", tmp_path_factory.mktemp("model") / "base")


class Run:
    """A module with its optimizer and scheduler, and a step of training."""

    def __init__(self, base):
        loss = ContrastiveLoss(temperature=0.05, learned_temperature=True)
        self.module = ContrastiveStep(Encoder.load(base), loss).train()
        self.optimizer = make_optimizer(self.module, CONFIG)
        self.scheduler = make_scheduler(self.optimizer, CONFIG)

    def train(self, first, last):
        for step in range(first, last):
            last, _, _ = self.module(batch_of(step), StepSeed(0, step, 0))
            last.backward()
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()
        return self

    def save(self, directory):
        checkpoint_writer(self.module, self.optimizer, self.scheduler, STATE_OF_5)(directory)

    def parts(self):
        return self.module, self.optimizer, self.scheduler

    def tensors(self):
        state = self.optimizer.state_dict()["state"]
        moments = {f"{n}.{k}": v for n, values in state.items() for k, v in values.items()}
        return {**dict(self.module.named_parameters()), **moments}


def batch_of(step):
    rng = np.random.default_rng(step)
    part = random_slice(rng, 4)
    texts = {}
    for role in ("query", "passage"):
        lengths = rng.integers(3, 9, 4).astype(np.int32)
        texts |= {f"{role}_lengths": lengths, f"{role}_values": rng.integers(4, 100, lengths.sum()).astype(np.int32)}
    return collate(dataclasses.replace(part, **texts), pad_id=1, token_budget=20)


STATE_OF_5 = RunState(step=5, seed=0, digest="abc", world_size=2, metrics={"dev/pool_map": 0.5}, version=VERSION)


def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(base, tmp_path):
    whole = Run(base).train(0, 5)
    whole.save(tmp_path)
    whole.train(5, 8)
    resumed = Run(base)
    assert load_checkpoint(tmp_path, *resumed.parts(), digest="abc") == STATE_OF_5
    resumed.train(5, 8)
    expected, found = whole.tensors(), resumed.tensors()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    assert resumed.scheduler.get_last_lr() == whole.scheduler.get_last_lr()
    assert resumed.module.loss.temperature().item() != pytest.approx(0.05, abs=1e-9)


def test_a_checkpoint_of_another_recipe_is_refused_and_changes_nothing(base, tmp_path):
    Run(base).train(0, 2).save(tmp_path)
    fresh = Run(base)
    before = {name: tensor.clone() for name, tensor in fresh.tensors().items()}
    with pytest.raises(
        ConfigError, match=r"made with another recipe.* \(digest abc, now xyz\); give the changed recipe"
    ):
        load_checkpoint(tmp_path, *fresh.parts(), digest="xyz")
    assert all(torch.equal(tensor, before[name]) for name, tensor in fresh.tensors().items())


def test_a_checkpoint_of_an_earlier_version_is_refused(base, tmp_path):
    Run(base).train(0, 2).save(tmp_path)
    state = json.loads((tmp_path / STATE).read_text())
    (tmp_path / STATE).write_text(json.dumps({name: value for name, value in state.items() if name != "version"}))
    with pytest.raises(ConfigError, match="is of version 1 of its files, this is 2: give the run another name"):
        load_checkpoint(tmp_path, *Run(base).parts(), digest="abc")


def test_the_model_of_a_checkpoint_stands_alone_and_the_state_is_plain(base, tmp_path):
    run = Run(base).train(0, 1)
    run.save(tmp_path)
    assert read_state(tmp_path) == STATE_OF_5
    assert json.loads((tmp_path / STATE).read_text())["metrics"] == {"dev/pool_map": 0.5}
    texts = ["When does the ferry leave?", "Die Fähre fährt um sieben Uhr ab."]
    run.module.eval()
    vectors = Encoder.load(tmp_path / "model").encode(texts, "query")
    assert (vectors == run.module.encoder.encode(texts, "query")).all()
