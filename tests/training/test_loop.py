"""A run of no steps: the base model, scored and saved as it came."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hbt_ray.config.load import build_recipe
from hbt_ray.model.encoder import Encoder
from hbt_ray.training.loop import Hooks, TrainLoop
from hbt_ray.training.run import read_state
from hbt_ray.training.scoring import dev_set, score_set
from hbt_ray.training.stepper import Stepper

pytestmark = pytest.mark.ray  # the corpus is prepared with it


def weights_hash(directory):
    return hashlib.sha256((Path(directory) / "model.safetensors").read_bytes()).hexdigest()


def test_a_run_of_no_steps_scores_and_saves_the_base_as_it_is(small_corpus, small_base, tmp_path):
    recipe = build_recipe(
        {
            "corpus": {"max_query_tokens": 32, "max_passage_tokens": 64},
            "train": {"steps": 0, "token_budget": 512},
            "evaluation": {"max_dev_items": 20, "precision": "fp32"},
        }
    )
    loop = TrainLoop(Stepper(recipe, small_base, torch.device("cpu")), small_corpus, digest="x")
    seen, curve = [], []
    hooks = Hooks(
        lambda step, point: curve.append(step),
        lambda step, scores: seen.append((step, scores.headline())),
        lambda step, metrics, save: save(tmp_path),
    )
    metrics = loop.run(iter(()), hooks)
    assert curve == []
    ((step, headline),) = seen
    assert step == 0
    assert metrics == {f"dev/{name}": value for name, value in headline.items()}
    assert read_state(tmp_path).step == 0
    assert weights_hash(tmp_path / "model") == weights_hash(small_base)
    lengths = {"max_query_tokens": 32, "max_passage_tokens": 64}
    base = Encoder.load(small_base, **lengths)
    dev = dev_set(small_corpus, replace(recipe.evaluation, precision="fp32"))
    expected = score_set(base.eval(), dev, token_budget=4096, precision="fp32").headline()
    assert headline == pytest.approx(expected, abs=1e-6)
    texts = ["What is the currency of Japan?", "货币是什么?"]
    np.testing.assert_array_equal(
        Encoder.load(tmp_path / "model", **lengths).encode(texts, "query"), base.encode(texts, "query")
    )
