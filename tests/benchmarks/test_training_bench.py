"""The benchmarks of training run, small: their arms do the same work, and the page is made of their numbers."""

import argparse
import json

import numpy as np
import pytest
import torch

from benchmarks import page
from benchmarks.data_path import data_path
from benchmarks.pairs import equal_pairs, synthetic_pairs
from benchmarks.steps import bare_loop, our_stepper, ours, sentence_transformers_loss
from benchmarks.training import TABLES, _known, measure_steps
from benchmarks.workers import share_of
from tests.model.models import SIZE, write_model

NUM_PAIRS, VOCAB = 6, SIZE["vocab_size"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    directory = write_model("xlm-roberta", tmp_path_factory.mktemp("bench") / "base")
    config = json.loads((directory / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (directory / "config.json").write_text(json.dumps(config))
    return str(directory)


@pytest.mark.parametrize("arm", ["packed", "padded", "plain", "cached"])
def test_all_arms_take_the_same_step(base, monkeypatch, arm):
    """Without dropout every arm has the same gradients: what is compared is the same work."""
    monkeypatch.setattr("benchmarks.steps.PASSAGE_TOKENS", 60)
    pairs = equal_pairs(NUM_PAIRS, VOCAB, 12)
    stepper = our_stepper(base, NUM_PAIRS, "fp32", "cpu", token_budget=64)
    losses = {
        "packed": lambda: bare_loop(stepper, base, pairs, NUM_PAIRS, packed=True),
        "padded": lambda: bare_loop(stepper, base, pairs, NUM_PAIRS, packed=False),
        "plain": lambda: sentence_transformers_loss(stepper, base, pairs, NUM_PAIRS, cached=False),
        "cached": lambda: sentence_transformers_loss(stepper, base, pairs, NUM_PAIRS, cached=True),
    }
    gradients = []
    clip = torch.nn.utils.clip_grad_norm_

    def kept(parameters, limit):
        parameters = list(parameters)
        # the pooler that sentence-transformers loads takes no part
        grads = [p.grad.flatten() for p in parameters if p.grad is not None and p.grad.abs().max() > 0]
        gradients.append(torch.cat(grads).sort().values)
        return clip(parameters, limit)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", kept)
    ours(stepper, pairs, NUM_PAIRS)(0)
    losses[arm]()(0)
    mine, theirs = gradients
    assert len(mine) == len(theirs)
    assert float((mine - theirs).abs().max()) <= 1e-5 * float(mine.abs().max())


def test_slices_of_workers_make_up_the_batch():
    part = synthetic_pairs(8, VOCAB).slice(3, 8)
    shares = [share_of(part, rank, 4) for rank in range(4)]
    for name in ("query_values", "query_lengths", "passage_values", "passage_lengths", "items"):
        assert np.concatenate([getattr(share, name) for share in shares]).tolist() == getattr(part, name).tolist()


def test_the_data_path_is_measured_by_stage(tmp_path):
    found = data_path(tmp_path, num_items=300, num_langs=2, batch_size=16, num_steps=4)
    assert found["num_pairs"] == 64
    assert found["all"] < min(found["pairs_per_cpu_s"].values())


def test_the_page_has_the_numbers_of_the_results(base, tmp_path):
    args = argparse.Namespace(batch_size=4, device="cpu", precision="fp32", rounds=1, data=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.steps.PASSAGE_TOKENS", 60)
        patch.setattr("benchmarks.pairs.PASSAGE_TOKENS", 60)
        patch.setattr("benchmarks.training.EQUAL_TOKENS", 20)
        steps = measure_steps(base, args)
    machine = {"cpu": "a CPU", "num_cpus": 2, "date": "2026-01-01"}
    machine |= dict.fromkeys(("torch", "transformers", "sentence-transformers"), "1")
    (tmp_path / "one.json").write_text(json.dumps({"machine": machine, "base": "tiny", "step": steps}))
    assert page.main([str(tmp_path), str(tmp_path / "page.md")]) == 0
    text = (tmp_path / "page.md").read_text()
    arm = steps["made-up lengths"]["arms"]["ours"]
    assert f"| made-up lengths | ours | {arm['median_s']:.2f} |" in text
    assert "Not measured: memory, workers, data, trials." in text
    assert set(TABLES) == {"step", "memory", "workers", "data", "trials"}


def test_parts_measured_before_stay_where_the_machine_is_the_same(tmp_path):
    file = tmp_path / "result.json"
    old = {"machine": {"cpu": "x", "date": "2026-01-01"}, "base": "b", "device": "cpu", "memory": 1}
    file.write_text(json.dumps(old))
    new = {"machine": {"cpu": "x", "date": "2026-02-02"}, "base": "b", "device": "cpu"}
    assert _known(file, new) == old
    assert _known(file, {**new, "base": "c"}) == {}
    assert _known(file, {**new, "machine": {"cpu": "y", "date": "2026-01-01"}}) == {}
    assert _known(tmp_path / "none.json", new) == {}
    assert _known(None, new) == {}


def test_trials_are_shown_by_their_number_of_workers():
    trial = {"trial_s": 9.0, "training_s": 8.0, "overhead_s": 1.0}
    table = TABLES["trials"]({"1 workers": {"trials": [trial]}, "2 workers": {"trials": [trial, trial]}})
    assert [list(column.cells) for column in table.columns][:2] == [["1", "2", "2"], ["1", "1", "2"]]
