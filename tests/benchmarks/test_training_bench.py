"""The benchmarks of training run, small: their arms do the same work, and the page is made of their numbers."""

import json
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks import page, training
from benchmarks.data_path import data_path
from benchmarks.pairs import equal_pairs, real_pairs, synthetic_pairs
from benchmarks.steps import bare_loop, our_stepper, ours, sentence_transformers_loss, side_by_side
from hbt_ray.errors import EvaluationError
from hbt_ray.model.encoder import Encoder
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
    pairs = synthetic_pairs(10, VOCAB)
    whole = pairs.slice(3, 8)
    shares = [pairs.slice(3, 8, rank, 4) for rank in range(4)]
    for name in ("query_values", "query_lengths", "passage_values", "passage_lengths", "items"):
        assert np.concatenate([getattr(share, name) for share in shares]).tolist() == getattr(whole, name).tolist()


def test_the_data_path_is_measured_by_stage(tmp_path):
    speeds = data_path(tmp_path, num_items=300, num_langs=2, batch_size=16, num_steps=4)
    assert list(speeds) == ["plan", "all", "read", "to blocks", "from blocks", "collate packed"]
    assert speeds.pop("all") < min(speeds.values())


def test_real_pairs_are_those_of_the_english_file(base, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.pairs.PASSAGE_TOKENS", 60)
    texts = {"question": ["who?", "where?", "when?"], "passage": ["she", "there", "then"]}
    pq.write_table(pa.table(texts), tmp_path / "en.parquet")
    pairs = real_pairs(tmp_path, base, 2)
    tokens = Encoder.load(base).tokenize(texts["passage"], "passage")
    assert len(pairs.queries) == len(pairs.passages) == 2
    assert all(list(ids) in [list(each) for each in tokens] for ids in pairs.passages)
    with pytest.raises(EvaluationError, match=r"no en\.parquet"):
        real_pairs(tmp_path / "none", base, 2)


def test_arms_take_turns_and_the_first_round_does_not_count():
    calls = []
    arms = {name: lambda number, name=name: calls.append(f"{name}{number}") for name in "ab"}
    times = side_by_side(arms, 2, torch.device("cpu"))
    assert calls == ["a0", "b0", "b1", "a1", "a2", "b2"]
    assert [len(arm["seconds"]) for arm in times.values()] == [2, 2]


def test_the_page_has_the_numbers_of_the_results(base, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.steps.PASSAGE_TOKENS", 60)
    monkeypatch.setattr("benchmarks.pairs.PASSAGE_TOKENS", 60)
    monkeypatch.setattr("benchmarks.training.EQUAL_TOKENS", 20)
    monkeypatch.setattr("benchmarks.training.our_stepper", partial(our_stepper, token_budget=64))
    file = tmp_path / "one.json"
    arguments = ["--base", base, "--parts", "step", "--batch-size", "4", "--rounds", "1", "--precision", "fp32"]
    assert training.main([*arguments, "--json", str(file)]) == 0
    assert page.main([str(tmp_path), str(tmp_path / "page.md")]) == 0
    row = json.loads(file.read_text())["step"]["rows"][0]
    assert f"| made-up lengths | ours | {row['s a step']:.2f} |" in (tmp_path / "page.md").read_text()
    with pytest.raises(EvaluationError, match="--parts speed: unknown; there are step, memory, workers, data, trials"):
        training.main(["--parts", "step,speed"])
