"""Two real workers against one process on the whole batch: every gradient, with masks at work."""

import copy
import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hbt_ray.model import loss as loss_module
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.gather import all_gather, gather_rows, world
from hbt_ray.model.loss import ContrastiveLoss

WORLD_SIZE = 2
ROWS = 4  # a worker
TOLERANCE = 1e-5
VARIANTS = {
    "plain": {},
    "symmetric": {"symmetric": True},
    "learned": {"learned_temperature": True},
    "both": {"symmetric": True, "learned_temperature": True},
}
# Rows 1 and 6 are one item, rows 0 and 5, as well as 2 and 3, share their passage: inside and across workers.
ITEMS = torch.tensor([10, 11, 12, 13, 14, 15, 11, 17])
HASHES = torch.tensor([1, 2, 3, 3, 5, 1, 7, 8])


class Step(nn.Module):
    """Encoder and loss in one module, so that DDP averages a learned temperature as well."""

    def __init__(self, encoder, head):
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, queries, passages, items, hashes):
        ones = torch.ones_like
        query_vectors = self.encoder(queries, ones(queries))
        passage_vectors = self.encoder(passages, ones(passages))
        return self.head(query_vectors, passage_vectors, items, hashes)


def batch():
    generator = torch.Generator().manual_seed(5)
    queries = torch.randint(5, 100, (WORLD_SIZE * ROWS, 6), generator=generator)
    passages = torch.randint(5, 100, (WORLD_SIZE * ROWS, 12), generator=generator)
    return queries, passages, ITEMS, HASHES


def gradients(encoder, rows, *, ddp, variant):
    # evaluation mode: no dropout
    step = Step(copy.deepcopy(encoder).eval(), ContrastiveLoss(temperature=0.05, **VARIANTS[variant]))
    wrapped = DistributedDataParallel(step) if ddp else step
    loss, stats = wrapped(*(part[rows] for part in batch()))
    loss.backward()
    found = {name: p.grad.clone() for name, p in step.named_parameters()}
    return {"gradients": found, "loss": loss.detach(), "row_loss": stats.row_loss, "masked": stats.num_masked}


def detached_gather(rows):
    gathered = list(gather_rows(rows).chunk(WORLD_SIZE))
    gathered[dist.get_rank()] = rows
    return torch.cat(gathered)


def run_worker(rank, directory, path):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{directory}/store", rank=rank, world_size=WORLD_SIZE)
    try:
        encoder = Encoder.load(path)
        rows = slice(rank * ROWS, (rank + 1) * ROWS)
        results = {name: gradients(encoder, rows, ddp=True, variant=name) for name in VARIANTS}
        # The common shortcut: vectors of the other workers as constants.
        loss_module.all_gather = detached_gather
        results["detached"] = gradients(encoder, rows, ddp=True, variant="plain")
        results["world"] = world()
        results["ints"] = gather_rows(torch.tensor([[rank, 2], [rank, 3]]))
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
            assert max(scale, found[name].abs().max()) < 1e-7
            continue
        assert scale > 1e-4, name
        differences[name] = float((expected[name] - found[name]).abs().max() / scale)
    return max(differences.values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_workers_have_the_gradient_of_one_process(workers, model_directory, variant):
    one = gradients(Encoder.load(model_directory("xlm-roberta")), slice(None), ddp=False, variant=variant)
    assert int(one["masked"]) == 6
    assert sum(int(worker[variant]["masked"]) for worker in workers) == 6
    rows = torch.cat([worker[variant]["row_loss"] for worker in workers])
    torch.testing.assert_close(rows, one["row_loss"], rtol=TOLERANCE, atol=TOLERANCE)
    mean = torch.stack([worker[variant]["loss"] for worker in workers]).mean()
    torch.testing.assert_close(mean, one["loss"], rtol=TOLERANCE, atol=0)
    assert ("head.temperature.log_temperature" in one["gradients"]) == (variant in ("learned", "both"))
    for worker in workers:
        assert worst(one["gradients"], worker[variant]["gradients"]) <= TOLERANCE


def test_a_detached_gather_has_another_gradient(workers, model_directory):
    one = gradients(Encoder.load(model_directory("xlm-roberta")), slice(None), ddp=False, variant="plain")
    assert worst(one["gradients"], workers[0]["detached"]["gradients"]) > 0.1


def test_ranks_and_integers_come_in_order(workers):
    assert [worker["world"] for worker in workers] == [(0, 2), (1, 2)]
    for worker in workers:
        assert worker["ints"].tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


def test_without_a_process_group_nothing_is_gathered():
    rows = torch.randn(3, 2, requires_grad=True)
    assert world() == (0, 1)
    assert all_gather(rows) is rows
    assert gather_rows(rows) is rows
