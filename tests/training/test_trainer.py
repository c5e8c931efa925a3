import hashlib
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hbt_ray.batches.iterator import BatchSource, ChunkReader, received_slices
from hbt_ray.config.load import build_recipe
from hbt_ray.training.dataset import slice_dataset
from hbt_ray.training.launch import fit
from hbt_ray.training.run import RunSpec, kept_steps
from tests.batches.compare import local_slices

pytestmark = pytest.mark.ray

STEPS = 40
BASE_RECIPE = {
    "name": "test",
    "corpus": {"max_query_tokens": 32, "max_passage_tokens": 64},
    "plan": {"batch_size": 16},
    "model": {"learn_temperature": True},
    "train": {"steps": STEPS, "lr": 1e-3, "log_every": 10, "checkpoint_every": 4},
    "evaluation": {"max_dev_items": 20},
    "resources": {"num_workers": 2, "cpus_per_worker": 1, "cpus_per_data_task": 0.5},
}


def spec_of(corpus, base, storage, name, **train):
    recipe = build_recipe({**BASE_RECIPE, "name": name, "train": {**BASE_RECIPE["train"], **train}})
    return RunSpec(recipe, corpus.directory, base, name, str(storage))


def weights_hash(result):
    return hashlib.sha256((Path(result.model) / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def clean(ray_session, small_corpus, small_base, tmp_path_factory):
    """An uninterrupted run on two workers."""
    return fit(spec_of(small_corpus, small_base, tmp_path_factory.mktemp("clean"), "clean"))


def test_a_run_ends_with_scores_and_a_model_that_others_can_load(clean):
    from sentence_transformers import SentenceTransformer

    from hbt_ray.model.encoder import Encoder

    assert {"dev/mono_map", "dev/cross_map", "dev/pool_map", "dev/rank_distance"} <= set(clean.metrics)
    assert clean.metrics["dev/mono_map"] > 0.1
    texts = ["What is the currency of Japan?", "Ποιο είναι το νόμισμα;", "货币是什么?"]
    ours = Encoder.load(clean.model).encode(texts, "query")
    theirs = SentenceTransformer(clean.model).encode(texts)
    assert np.abs(ours - theirs).max() <= 1e-5


def test_a_killed_worker_changes_nothing(ray_session, small_corpus, small_base, tmp_path, clean):
    from ray.util.state import list_actors

    spec = spec_of(small_corpus, small_base, tmp_path, "killed")
    killed = []

    def kill_one_worker():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not kept_steps(spec):
            time.sleep(0.05)
        alive = [("class_name", "=", "RayTrainWorker"), ("state", "=", "ALIVE")]
        address = ray_session.get_runtime_context().gcs_address  # other clusters may run on this machine
        victim = list_actors(address, filters=alive, detail=True)[-1]
        os.kill(victim.pid, signal.SIGKILL)
        killed.append((victim.pid, kept_steps(spec)[0]))

    killer = threading.Thread(target=kill_one_worker)
    killer.start()
    result = fit(spec)
    killer.join()
    assert killed
    assert 0 < killed[0][1] < STEPS
    assert weights_hash(result) == weights_hash(clean)
    assert result.metrics == clean.metrics


def test_a_run_that_has_ended_is_not_trained_again(small_corpus, small_base, tmp_path):
    spec = spec_of(small_corpus, small_base, tmp_path, "short", steps=4)
    first = fit(spec)
    begin = time.monotonic()
    again = fit(spec)
    assert weights_hash(again) == weights_hash(first)
    assert again.metrics == first.metrics
    assert time.monotonic() - begin < 60


def test_another_recipe_does_not_go_on_from_a_checkpoint(small_corpus, small_base, tmp_path):
    from hbt_ray.errors import ConfigError

    spec = spec_of(small_corpus, small_base, tmp_path, "short", steps=4)
    fit(spec)
    resources = replace(spec.recipe.resources, max_failures=0)
    changed = replace(spec.recipe, train=replace(spec.recipe.train, lr=2e-3), resources=resources)
    with pytest.raises(ConfigError, match="another recipe"):
        fit(replace(spec, recipe=changed))


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ray_data_brings_every_rank_its_own_slices(ray_session, small_corpus, world_size):
    recipe = build_recipe(BASE_RECIPE)
    source = BatchSource(small_corpus.directory, recipe.plan, 3, 101)
    start = 7

    @ray_session.remote(num_cpus=0)
    def consume(rank):
        dataset = slice_dataset(source, start=start, rank=rank, world_size=world_size)
        blocks = dataset.iter_batches(batch_size=None, batch_format="pyarrow")
        return [
            (part.step, part.items.tolist(), part.passage_values.tolist())
            for part in received_slices(blocks, start=start, rank=rank)
        ]

    for rank, parts in enumerate(ray_session.get([consume.remote(rank) for rank in range(world_size)])):
        wanted = local_slices(source, start=start, rank=rank, world_size=world_size)
        assert parts == [(part.step, part.items.tolist(), part.passage_values.tolist()) for part in wanted]


class SlowFirst(ChunkReader):
    """Reads the first block after all others."""

    def read(self, block):
        time.sleep(3 if block == 0 else 0)
        return super().read(block)


def test_blocks_keep_their_order_where_the_first_takes_longest(ray_session, small_corpus, monkeypatch):
    monkeypatch.setattr("hbt_ray.training.dataset.ChunkReader", SlowFirst)
    source = BatchSource(small_corpus.directory, build_recipe(BASE_RECIPE).plan, 3, 101)
    blocks = slice_dataset(source).iter_batches(batch_size=None, batch_format="pyarrow")
    assert [part.step for part in received_slices(blocks, start=0, rank=0)] == list(range(101))
