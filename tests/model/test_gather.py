"""Two real workers against one process on the whole batch: every gradient, with masks and recomputed chunks at work."""

import copy
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from hbt_ray.losses import contrastive as loss_module
from hbt_ray.losses.contrastive import ContrastiveLoss
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.gather import gather_rows, sum_own_rows, world
from hbt_ray.training.batch import collate
from hbt_ray.training.step import ContrastiveStep, StepSeed
from tests.batches.test_slices import random_slice

WORLD_SIZE = 2
ROWS = 4  # a worker
TOLERANCE = 1e-9
VARIANTS = {
    "plain": {},
    "symmetric": {"symmetric": True},
    "learned": {"learned_temperature": True},
    "both": {"symmetric": True, "learned_temperature": True},
    "negatives": {"learned_temperature": True},
}
NEGATIVES = {"negatives": 2}
KEPT = (10**9, 30, 0)
# Rows 1 and 6 are one item, rows 0 and 5, as well as 2 and 3, share their passage: inside and across workers.
ITEMS = torch.tensor([10, 11, 12, 13, 14, 15, 11, 17])
HASHES = torch.tensor([1, 2, 3, 3, 5, 1, 7, 8])


def batch_of(rows, num_negatives=0):
    """Rows of the global batch; the same texts for any number of workers."""
    rng = np.random.default_rng(5)
    num = WORLD_SIZE * ROWS
    query_lengths, passage_lengths = rng.integers(2, 7, num), rng.integers(5, 13, num)
    queries, passages = (
        np.split(rng.integers(5, 100, n.sum()), np.cumsum(n)[:-1]) for n in (query_lengths, passage_lengths)
    )
    weights = rng.uniform(0.5, 2, num).astype(np.float32)
    own = range(num)[rows]
    negative_lengths = rng.integers(0, 4, (num, num_negatives)).astype(np.int32)
    negative_hashes = np.arange(100, 100 + num * num_negatives).reshape(num, num_negatives)
    if num_negatives:  # the second worker's last one reads like the passage of the first worker's rows 2 and 3
        negative_lengths[-1, -1], negative_hashes[-1, -1] = 3, 3
    negatives = [rng.integers(5, 100, int(length)) for length in negative_lengths.sum(axis=1)]
    part = replace(
        random_slice(rng, len(own)),
        items=ITEMS[rows].numpy(),
        passage_hashes=HASHES[rows].numpy(),
        weights=weights[rows],
        query_lengths=query_lengths[rows].astype(np.int32),
        query_values=np.concatenate([queries[row] for row in own]).astype(np.int32),
        passage_lengths=passage_lengths[rows].astype(np.int32),
        passage_values=np.concatenate([passages[row] for row in own]).astype(np.int32),
        negative_lengths=negative_lengths[rows].ravel(),
        negative_values=np.concatenate([negatives[row] for row in own]).astype(np.int32),
        negative_hashes=negative_hashes[rows].ravel(),
    )
    return collate(part, pad_id=1, token_budget=20, packed=True)


def gradients(encoder, rows, *, ddp, variant, kept_tokens=10**9):
    # In float64, and in evaluation mode (no dropout): what is left of a difference is rounding, far below the bound.
    loss = ContrastiveLoss(temperature=0.05, **VARIANTS[variant])
    step = ContrastiveStep(copy.deepcopy(encoder).eval(), loss, kept_tokens=kept_tokens).double()
    wrapped = DistributedDataParallel(step, gradient_as_bucket_view=True, bucket_cap_mb=0.02) if ddp else step
    num_synced = torch.zeros(())
    if ddp:
        wrapped.register_comm_hook(None, lambda state, bucket: counted(num_synced, bucket))
    for step_number in range(2):  # DDP rebuilds its buckets after the first
        num_synced.zero_()
        step.zero_grad()
        last, found, stats = wrapped(batch_of(rows, NEGATIVES.get(variant, 0)), StepSeed(0, step_number, 0))
        last.backward()
    grads = {name: p.grad.clone() for name, p in step.named_parameters()}
    masked = stats.num_masked
    return {"gradients": grads, "loss": found, "row_loss": stats.row_loss, "masked": masked, "synced": num_synced}


def counted(num_synced, bucket):
    """DDP's own averaging, with the averaged numbers counted."""
    num_synced += bucket.buffer().numel()
    summed = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return summed.then(lambda done: done.value()[0] / WORLD_SIZE)


def only_own_rows(tensors):
    """The common shortcut: what the other workers' losses say of this worker's rows is left out."""
    rank = dist.get_rank()
    return [tensor[rank * ROWS : (rank + 1) * ROWS] for tensor in tensors]


def run_worker(rank, directory, path):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{directory}/store", rank=rank, world_size=WORLD_SIZE)
    try:
        encoder = Encoder.load(path)
        rows = slice(rank * ROWS, (rank + 1) * ROWS)
        results = {
            (name, kept): gradients(encoder, rows, ddp=True, variant=name, kept_tokens=kept)
            for name in VARIANTS
            for kept in KEPT
        }
        loss_module.sum_own_rows = only_own_rows
        results["detached"] = gradients(encoder, rows, ddp=True, variant="plain")
        results["world"] = world()
        mixed = [
            torch.tensor([[rank, 2], [rank, 3]]),
            torch.tensor([0.5 + rank, -1.0]),
            torch.tensor([True, rank == 0]),
        ]
        results["gathered"] = gather_rows(mixed)
        every = torch.arange(8.0).view(4, 2)
        results["summed"] = sum_own_rows([every * (rank + 1), every[:, :1]])
        torch.save(results, f"{directory}/{rank}.pt")
        dist.barrier()  # gloo aborts if a peer leaves first
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def workers(model_directory, tmp_path_factory):
    directory = tmp_path_factory.mktemp("workers")
    mp.spawn(run_worker, args=(str(directory), str(model_directory("xlm-roberta"))), nprocs=WORLD_SIZE)
    return [torch.load(directory / f"{rank}.pt", weights_only=False) for rank in range(WORLD_SIZE)]


def worst(expected, found):
    """Largest difference in any parameter's gradient, relative to that parameter's largest gradient."""
    assert expected.keys() == found.keys()
    differences = {}
    for name in expected:
        scale = expected[name].abs().max()
        if name.endswith("key.bias"):
            # A shift of all keys changes no softmax: the exact gradient is zero, what is there is rounding.
            assert max(scale, found[name].abs().max()) < 1e-12
            continue
        assert scale > 1e-4, name
        differences[name] = float((expected[name] - found[name]).abs().max() / scale)
    return max(differences.values())


@pytest.mark.parametrize("kept_tokens", KEPT)
@pytest.mark.parametrize("variant", VARIANTS)
def test_two_workers_have_the_gradient_of_one_process(workers, model_directory, variant, kept_tokens):
    one = gradients(Encoder.load(model_directory("xlm-roberta")), slice(None), ddp=False, variant=variant)
    found = [worker[variant, kept_tokens] for worker in workers]
    assert int(one["masked"]) == (8 if variant in NEGATIVES else 6)
    assert sum(int(worker["masked"]) for worker in found) == int(one["masked"])
    rows = torch.cat([worker["row_loss"] for worker in found])
    torch.testing.assert_close(rows, one["row_loss"], rtol=TOLERANCE, atol=TOLERANCE)
    mean = torch.stack([worker["loss"] for worker in found]).mean()
    torch.testing.assert_close(mean, one["loss"], rtol=TOLERANCE, atol=0)
    assert ("loss.temperature.log_temperature" in one["gradients"]) == (variant not in ("plain", "symmetric"))
    num_parameters = sum(gradient.numel() for gradient in one["gradients"].values())
    for worker in found:
        assert worst(one["gradients"], worker["gradients"]) <= TOLERANCE
        assert int(worker["synced"]) == num_parameters  # each gradient was averaged once in the step


def test_a_detached_gather_has_another_gradient(workers, model_directory):
    one = gradients(Encoder.load(model_directory("xlm-roberta")), slice(None), ddp=False, variant="plain")
    assert worst(one["gradients"], workers[0]["detached"]["gradients"]) > 0.1


def test_rows_of_any_type_come_in_order(workers):
    assert [worker["world"] for worker in workers] == [(0, 2), (1, 2)]
    for rank, worker in enumerate(workers):
        ints, floats, bools = worker["gathered"]
        assert ints.tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
        assert floats.tolist() == [0.5, -1.0, 1.5, -1.0]
        assert bools.tolist() == [True, True, True, False]
        wide, narrow = worker["summed"]
        assert wide.tolist() == [[[0, 3], [6, 9]], [[12, 15], [18, 21]]][rank]
        assert narrow.tolist() == [[[0], [4]], [[8], [12]]][rank]


def test_without_a_process_group_nothing_is_gathered():
    rows = torch.randn(3, 2)
    assert world() == (0, 1)
    assert gather_rows([rows])[0] is rows
    assert sum_own_rows([rows])[0] is rows
