"""Every entry of LOSSES against its plain reference in float64: tiled or not, cached or not, on one worker and on two.

A new entry is picked up by itself; it needs a function in `tests.losses.references`.
"""

import copy
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.parallel import DistributedDataParallel

from hbt_ray.losses import contrastive
from hbt_ray.losses.contrastive import LOSSES, ContrastiveLoss
from hbt_ray.losses.terms import LossTerm
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.gather import gather_rows, sum_own_rows, world
from hbt_ray.training.batch import collate
from hbt_ray.training.step import ContrastiveStep, StepSeed
from tests.batches.test_slices import random_slice
from tests.losses.references import REFERENCES, Whole
from tests.model.models import write_model

WORLD_SIZE = 2
ROWS = 4  # a worker
TOLERANCE = 1e-9
TEMPERATURE = 0.05
HARD = ("negatives", "negative_hashes", "negative_groups", "negative_present")
# (tokens whose activations are kept, similarities at once): a plain graph, some chunks recomputed in tiles, all of them
WAYS = ((10**9, 0), (30, 7), (0, 7))
# Rows 1 and 6 are one item, rows 0 and 5, as well as 2 and 3, share their passage: inside and across workers. So do the
# items of rows 1 and 4, in a language that neither row is in.
ITEMS = torch.tensor([10, 11, 12, 13, 14, 15, 11, 17])
HASHES = torch.tensor([1, 2, 3, 3, 5, 1, 7, 8])
GROUPS = torch.tensor([1, 2, 3, 3, 2, 1, 2, 8])
# Row 1 has the passage of row 6 as a second positive, but row 6 asks in the language of row 1's passage.
QUERY_LANGS = torch.tensor([0, 1, 2, 0, 1, 2, 2, 1])
PASSAGE_LANGS = torch.tensor([1, 2, 0, 1, 2, 0, 0, 2])

# A term without a closed form, statistics or masks, as the simplest ones are.
SPREAD = LossTerm(
    function=lambda step: ((step.queries @ step.all_passages.T).square().mean() * step.temperature, None),
    gathers=("passages",),
)
PLAIN = REFERENCES | {"spread": lambda batch: (batch.queries @ batch.passages.T).square().mean() * batch.temperature}
CASES = {name: {name: 1.0} for name in LOSSES} | {
    "all": {name: 1 / (2 + number) for number, name in enumerate(LOSSES)},
    "spread": {"spread": 0.7},
    "with spread": {"info_nce": 0.5, "spread": 3.0},
}
BATCHES = [*((case, 2) for case in CASES), ("all", 0)]
"""Case and hard negatives a row, of the batches that go through an encoder."""


@pytest.fixture(scope="module", autouse=True)
def spread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps this small only wait for one another
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOSSES, "spread", SPREAD)
        yield
    torch.set_num_threads(threads)


def plain_loss(losses, batch):
    for name in losses:
        if name not in PLAIN:
            pytest.fail(
                f"model.losses.{name} has no reference to be held against: add it to tests/losses/references.py"
            )
    return sum(weight * PLAIN[name](batch) for name, weight in losses.items())


@pytest.mark.parametrize("case", CASES)
@settings(deadline=None, max_examples=30)
@given(st.integers(2, 12), st.integers(0, 2), st.booleans(), st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_loss_and_gradients_of_vectors(case, n, num_negatives, weighted, tile, seed):
    rng = np.random.default_rng(seed)

    def unit(*shape):
        vectors = rng.normal(size=shape)
        return torch.from_numpy(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).requires_grad_()

    def drawn(*shape):
        return torch.from_numpy(rng.integers(0, n, shape))

    weights = torch.from_numpy(rng.uniform(0.5, 2, n)) if weighted else torch.ones(n, dtype=torch.float64)
    tau = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    batch = Whole(
        queries=unit(n, 4),
        passages=unit(n, 4),
        negatives=unit(n, num_negatives, 4),
        negative_hashes=drawn(n, num_negatives),
        negative_present=drawn(n, num_negatives) > 0,
        items=drawn(n),
        negative_groups=drawn(n, num_negatives),
        hashes=drawn(n),
        groups=drawn(n),
        query_langs=drawn(n) % 3,
        passage_langs=drawn(n) % 3,
        weights=weights / weights.mean(),
        temperature=tau,
    )
    expected = plain_loss(CASES[case], batch)
    wanted = ["queries", "passages", "temperature"] + ["negatives"] * (num_negatives > 0)
    leaves = [getattr(batch, name) for name in wanted]
    gradients = torch.autograd.grad(expected, leaves, allow_unused=True, materialize_grads=True)

    head = ContrastiveLoss(CASES[case], temperature=0.2, learned_temperature=True, tile=tile).double()
    head.temperature.log_temperature.data = tau.detach().log()
    hard = {name: getattr(batch, name) for name in HARD}
    result = head(
        batch.queries,
        batch.passages,
        batch.items,
        batch.hashes,
        groups=batch.groups,
        query_langs=batch.query_langs,
        passage_langs=batch.passage_langs,
        weights=weights if weighted else None,
        **hard if num_negatives else {},
    )
    torch.testing.assert_close(result.loss, expected.detach(), rtol=TOLERANCE, atol=TOLERANCE)
    for name, gradient in zip(wanted, gradients, strict=True):
        scale = max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(getattr(result, name), gradient, rtol=0, atol=TOLERANCE * scale, msg=name)
    if num_negatives == 0:
        assert result.negatives is None
    head.surrogate(result).backward()
    expected_log = (gradients[2] * tau).detach()
    torch.testing.assert_close(head.temperature.log_temperature.grad, expected_log, rtol=TOLERANCE, atol=TOLERANCE)


def batch_of(rows, num_negatives):
    """Rows of the global batch; the same texts for any number of workers."""
    rng = np.random.default_rng(5)
    num = WORLD_SIZE * ROWS
    query_lengths, passage_lengths = rng.integers(2, 7, num), rng.integers(5, 13, num)
    queries, passages = (
        np.split(rng.integers(5, 100, n.sum()), np.cumsum(n)[:-1]) for n in (query_lengths, passage_lengths)
    )
    weights = rng.uniform(0.5, 2, num).astype(np.float32)
    picked = range(num)[rows]
    negative_lengths = rng.integers(0, 4, (num, num_negatives)).astype(np.int32)
    negative_hashes = np.arange(100, 100 + num * num_negatives).reshape(num, num_negatives)
    negative_groups = np.zeros((num, num_negatives), np.int64)
    if num_negatives:  # the second worker's last one reads like the passage of the first worker's rows 2 and 3
        negative_lengths[-1, -1], negative_hashes[-1, -1] = 3, 3
        negative_lengths[0, 0], negative_groups[0, 0] = 2, 8  # the first one is the last row's passage, translated
    negatives = [rng.integers(5, 100, int(length)) for length in negative_lengths.sum(axis=1)]
    part = replace(
        random_slice(rng, len(picked)),
        items=ITEMS[rows].numpy(),
        passage_hashes=HASHES[rows].numpy(),
        groups=GROUPS[rows].numpy(),
        query_langs=QUERY_LANGS[rows].numpy().astype(np.int16),
        passage_langs=PASSAGE_LANGS[rows].numpy().astype(np.int16),
        weights=weights[rows],
        query_lengths=query_lengths[rows].astype(np.int32),
        query_values=np.concatenate([queries[row] for row in picked]).astype(np.int32),
        passage_lengths=passage_lengths[rows].astype(np.int32),
        passage_values=np.concatenate([passages[row] for row in picked]).astype(np.int32),
        negative_lengths=negative_lengths[rows].ravel(),
        negative_values=np.concatenate([negatives[row] for row in picked]).astype(np.int32),
        negative_hashes=negative_hashes[rows].ravel(),
        negative_groups=negative_groups[rows].ravel(),
    )
    return collate(part, pad_id=1, token_budget=20, packed=True)


def step_of(encoder, losses, *, kept_tokens, tile=0):
    # In float64, and in evaluation mode (no dropout): what is left of a difference is rounding, far below the bound.
    loss = ContrastiveLoss(losses, temperature=TEMPERATURE, learned_temperature=True, tile=tile)
    return ContrastiveStep(copy.deepcopy(encoder).eval(), loss, kept_tokens=kept_tokens).double()


def gradients_of(step):
    return {name: parameter.grad.clone() for name, parameter in step.named_parameters()}


def reference(encoder, case, num_negatives):
    """Loss and gradients of parameters by plain autograd through all chunks of the global batch."""
    step, batch = step_of(encoder, CASES[case], kept_tokens=0), batch_of(slice(None), num_negatives)
    order = torch.argsort(torch.cat([chunk.rows for chunk in batch.chunks]))
    vectors = torch.cat([step.encoder.forward_chunk(chunk) for chunk in batch.chunks])[order]
    queries, passages, others = vectors.split([len(batch), len(batch), len(vectors) - 2 * len(batch)])
    shape = (len(batch), num_negatives)
    hard = batch.negatives
    places = torch.zeros(0, dtype=torch.int64) if hard is None else hard.places
    full = others.new_zeros(len(batch) * num_negatives, others.shape[1]).index_copy(0, places, others)
    loss = plain_loss(
        CASES[case],
        Whole(
            queries=queries,
            passages=passages,
            negatives=full.view(*shape, others.shape[1]),
            negative_hashes=torch.zeros(shape, dtype=torch.int64) if hard is None else hard.hashes,
            negative_groups=torch.zeros(shape, dtype=torch.int64) if hard is None else hard.groups,
            negative_present=torch.zeros(shape, dtype=torch.bool) if hard is None else hard.present,
            items=batch.items,
            hashes=batch.passage_hashes,
            groups=batch.groups,
            query_langs=batch.query_langs,
            passage_langs=batch.passage_langs,
            weights=(batch.weights / batch.weights.mean()).double(),
            temperature=step.loss.temperature(),
        ),
    )
    loss.backward()
    return loss.detach(), gradients_of(step)


def run_step(encoder, rows, case, num_negatives, *, kept_tokens, tile, ddp):
    step = step_of(encoder, CASES[case], kept_tokens=kept_tokens, tile=tile)
    wrapped = DistributedDataParallel(step, gradient_as_bucket_view=True, bucket_cap_mb=0.02) if ddp else step
    num_synced = torch.zeros(())
    if ddp:
        wrapped.register_comm_hook(None, lambda state, bucket: counted(num_synced, bucket))
    for step_number in range(1 + ddp):  # DDP rebuilds its buckets after the first
        num_synced.zero_()
        step.zero_grad()
        last, loss, stats = wrapped(batch_of(rows, num_negatives), StepSeed(0, step_number, 0))
        last.backward()
    rest = {"row_loss": stats.row_loss, "masked": stats.num_masked, "false": stats.num_false, "synced": num_synced}
    return {"gradients": gradients_of(step), "loss": loss, **rest}


def counted(num_synced, bucket):
    """DDP's own averaging, with the averaged numbers counted."""
    num_synced += bucket.buffer().numel()
    summed = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return summed.then(lambda done: done.value()[0] / WORLD_SIZE)


def only_own_rows(tensors):
    """The common shortcut: what the other workers' losses say of this worker's rows is left out."""
    rank = dist.get_rank()
    return [tensor[rank * ROWS : (rank + 1) * ROWS] for tensor in tensors]


def all_runs(path, rows, *, ddp):
    """(case, hard negatives a row, way) -> how a worker did."""
    encoder = Encoder.load(path)
    return {
        (case, num, (kept, tile)): run_step(encoder, rows, case, num, kept_tokens=kept, tile=tile, ddp=ddp)
        for case, num in BATCHES
        for kept, tile in WAYS
    }


def run_worker(rank, directory, path):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    LOSSES["spread"] = SPREAD
    dist.init_process_group("gloo", init_method=f"file://{directory}/store", rank=rank, world_size=WORLD_SIZE)
    try:
        rows = slice(rank * ROWS, (rank + 1) * ROWS)
        results = {"runs": all_runs(path, rows, ddp=True), "world": world()}
        mixed = [
            torch.tensor([[rank, 2], [rank, 3]]),
            torch.tensor([0.5 + rank, -1.0]),
            torch.tensor([True, rank == 0]),
        ]
        results["gathered"] = gather_rows(mixed)
        every = torch.arange(8.0).view(4, 2)
        results["summed"] = sum_own_rows([every * (rank + 1), every[:, :1]])
        contrastive.sum_own_rows = only_own_rows
        results["detached"] = run_step(Encoder.load(path), rows, "info_nce", 2, kept_tokens=10**9, tile=0, ddp=True)
        torch.save(results, f"{directory}/{rank}.pt")
        dist.barrier()  # gloo aborts if a peer leaves first
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return str(write_model("xlm-roberta", tmp_path_factory.mktemp("base") / "base"))


@pytest.fixture(scope="module")
def references(path):
    encoder = Encoder.load(path)
    return {(case, num): reference(encoder, case, num) for case, num in BATCHES}


@pytest.fixture(scope="module")
def one(path):
    return all_runs(path, slice(None), ddp=False)


@pytest.fixture(scope="module")
def workers(path, tmp_path_factory):
    directory = tmp_path_factory.mktemp("workers")
    mp.spawn(run_worker, args=(str(directory), path), nprocs=WORLD_SIZE)
    return [torch.load(directory / f"{rank}.pt", weights_only=False) for rank in range(WORLD_SIZE)]


def worst(expected, gradients):
    """Largest difference in any parameter's gradient, relative to that parameter's largest gradient."""
    assert expected.keys() == gradients.keys()
    differences = {}
    for name in expected:
        scale = expected[name].abs().max()
        if name.endswith("key.bias"):
            # A shift of all keys changes no softmax: the exact gradient is zero, what is there is rounding.
            assert max(scale, gradients[name].abs().max()) < 1e-12
            continue
        assert scale > 1e-5, name
        differences[name] = float((expected[name] - gradients[name]).abs().max() / scale)
    return max(differences.values())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("case", "num_negatives"), BATCHES)
def test_one_worker_has_the_gradients_of_the_reference(references, one, case, num_negatives, way):
    loss, gradients = references[case, num_negatives]
    run = one[case, num_negatives, way]
    torch.testing.assert_close(run["loss"], loss, rtol=TOLERANCE, atol=0)
    assert worst(gradients, run["gradients"]) <= TOLERANCE


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("case", "num_negatives"), BATCHES)
def test_two_workers_have_the_gradients_of_the_reference(references, one, workers, case, num_negatives, way):
    loss, gradients = references[case, num_negatives]
    runs = [worker["runs"][case, num_negatives, way] for worker in workers]
    torch.testing.assert_close(torch.stack([run["loss"] for run in runs]).mean(), loss, rtol=TOLERANCE, atol=0)
    num_parameters = sum(gradient.numel() for gradient in gradients.values())
    for run in runs:
        assert worst(gradients, run["gradients"]) <= TOLERANCE
        assert int(run["synced"]) == num_parameters  # each gradient was averaged once in the step
    alone = one[case, num_negatives, way]
    assert sum(int(run["masked"]) for run in runs) == int(alone["masked"])
    if case != "spread":  # which says nothing of rows
        rows = torch.cat([run["row_loss"] for run in runs])
        torch.testing.assert_close(rows, alone["row_loss"], rtol=TOLERANCE, atol=TOLERANCE)


def test_rows_of_one_item_text_or_group_are_masked(one):
    for way in WAYS:
        assert int(one["info_nce", 2, way]["masked"]) == 13
        assert int(one["all", 0, way]["masked"]) == int(one["symmetric", 2, way]["masked"]) == 10
        assert {int(run["false"]) for run in one.values()} == {0}


def test_a_detached_gather_has_another_gradient(references, workers):
    assert worst(references["info_nce", 2][1], workers[0]["detached"]["gradients"]) > 0.1


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


def test_an_entry_without_a_reference_is_named():
    with pytest.raises(pytest.fail.Exception, match=r"model\.losses\.new has no reference"):
        plain_loss({"new": 1.0}, None)
