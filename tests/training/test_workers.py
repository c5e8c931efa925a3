"""The same recipe on one worker and on two, with whole models and with shards: one loss curve, one model."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from hbt_ray.batches.iterator import BatchSource
from hbt_ray.config.load import build_recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.gather import world
from hbt_ray.training.loop import Hooks, TrainLoop
from hbt_ray.training.stepper import Stepper, load_encoder
from tests.batches.compare import local_slices

pytestmark = pytest.mark.ray  # the corpus is prepared with it

STEPS, STOP, WORLD_SIZE = 50, 30, 2
CURVE = 1e-4
RECIPE = {
    "corpus": {"max_query_tokens": 32, "max_passage_tokens": 64},
    "plan": {"batch_size": 16},
    "model": {"learn_temperature": True, "losses": {"info_nce": 0.5, "symmetric": 0.5}},
    "train": {
        "steps": STEPS,
        "lr": 3e-3,
        "log_every": 1,
        "token_budget": 256,
        "kept_tokens": 300,
        "precision": "fp32",  # bf16 rounds each product by the shape of its chunk, and two workers have other chunks
        "checkpoint_every": STOP,
    },
    "evaluation": {"max_dev_items": 8},
}
VARIANTS = {
    "ddp": {},
    "fsdp": {"resources": {"sharding": "fsdp"}},
    "lora-fsdp": {
        "resources": {"sharding": "fsdp"},
        "model": {**RECIPE["model"], "lora_rank": 4, "lora_targets": ["query", "value", "dense"]},
    },
}


def train(corpus, base, directory, variant, *, restore=None):
    """The loss curve and the last metrics; checkpoints of steps STOP and STEPS go to `directory`."""
    recipe = build_recipe({**RECIPE, **VARIANTS[variant]})
    loop = TrainLoop(Stepper(recipe, base, torch.device("cpu")), Corpus.open(corpus), digest="x")
    rank, world_size = world()
    curve = {}
    if restore:
        loop.restore(restore)

    def checkpoint(step, metrics, save):
        if rank == 0:
            save(directory / str(step))

    source = BatchSource(corpus, recipe.plan, recipe.train.seed, STEPS)
    slices = local_slices(source, start=loop.step, rank=rank, world_size=world_size)
    hooks = Hooks(lambda step, point: curve.update({step: point["train/loss"]}), lambda *_: None, checkpoint)
    loop.run(slices, hooks)
    return curve, loop.metrics


def run_worker(rank, directory, corpus, base):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{directory}/store", rank=rank, world_size=WORLD_SIZE)
    try:
        for variant in VARIANTS:
            whole, parts = directory / variant / "whole", directory / variant / "parts"
            curve, metrics = train(corpus, base, whole, variant)
            dist.barrier()  # rank 0 has written the checkpoint
            after, again = train(corpus, base, parts, variant, restore=whole / str(STOP))
            if rank == 0:
                results = {"curve": curve, "metrics": metrics, "resumed": after, "again": again}
                (directory / variant / "results.json").write_text(json.dumps(results))
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def runs(small_corpus, small_base, tmp_path_factory):
    root = tmp_path_factory.mktemp("workers")
    base = root / "base"
    shutil.copytree(small_base, base)
    config = json.loads((base / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # dropout is drawn by rank and chunk
    (base / "config.json").write_text(json.dumps(config))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = {name: train(small_corpus.directory, str(base), root / "one" / name, name) for name in ("ddp", "lora-fsdp")}
    torch.set_num_threads(threads)
    for variant in VARIANTS:
        (root / variant).mkdir()
    mp.spawn(run_worker, args=(root, small_corpus.directory, str(base)), nprocs=WORLD_SIZE)
    two = {name: json.loads((root / name / "results.json").read_text()) for name in VARIANTS}
    return root, one, two


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_workers_have_the_loss_curve_of_one(runs, variant):
    _, one, two = runs
    curve, metrics = one["ddp" if variant == "fsdp" else variant]
    assert list(curve) == list(range(1, STEPS + 1))
    assert sum(curve[step] for step in range(41, 51)) < sum(curve[step] for step in range(1, 11))
    found = {int(step): loss for step, loss in two[variant]["curve"].items()}
    assert found == pytest.approx(curve, rel=CURVE, abs=CURVE)
    # rankings are discrete: a tie in the last bit may move a passage by a place
    assert two[variant]["metrics"]["dev/pool_map"] == pytest.approx(metrics["dev/pool_map"], abs=0.01)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_is_the_same_bit_for_bit(runs, variant):
    root, _, two = runs
    resumed = two[variant]["resumed"]
    assert list(resumed) == [str(step) for step in range(STOP + 1, STEPS + 1)]
    assert resumed == {step: two[variant]["curve"][step] for step in resumed}
    assert two[variant]["again"] == two[variant]["metrics"]
    models = [
        (root / variant / part / str(STEPS) / "model" / "model.safetensors").read_bytes() for part in ("whole", "parts")
    ]
    assert models[0] == models[1]


def test_the_saved_model_with_adapters_is_an_ordinary_one(runs):
    root, _, _ = runs
    path = root / "lora-fsdp" / "whole" / str(STEPS) / "model"
    names = json.loads(Path(root / "base" / "config.json").read_text())
    encoder = Encoder.load(path)
    assert encoder.backbone.config.hidden_size == names["hidden_size"]
    assert not any("lora" in name for name, _ in encoder.named_parameters())
    base = Encoder.load(root / "base")
    changed = [
        name
        for (name, p), (_, q) in zip(encoder.named_parameters(), base.named_parameters(), strict=True)
        if not torch.equal(p, q)
    ]
    assert changed
    assert all(any(part in name for part in ("query", "value", "dense")) for name in changed)


def test_adapters_where_there_are_none_to_put(small_base):
    from hbt_ray.errors import ConfigError

    recipe = build_recipe({"model": {"lora_rank": 4, "lora_targets": ["nothing"]}, "corpus": RECIPE["corpus"]})
    with pytest.raises(ConfigError, match=r"model.lora_targets=\['nothing'\]: .*Linear layers here: dense, key"):
        load_encoder(recipe, small_base)
