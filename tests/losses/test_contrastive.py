import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import ConfigError
from hbt_ray.losses.contrastive import ContrastiveLoss
from hbt_ray.losses.info_nce import Columns, info_nce
from hbt_ray.losses.temperature import HIGHEST, LOWEST, Temperature


def unit(rng, *shape):
    vectors = rng.normal(size=shape)
    return torch.from_numpy(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).float()


def oracle(queries, passages, tau, offset, items, hashes):
    """The definition, row by row, in Python floats: losses, masked negatives and correct rows."""
    losses, masked, correct = [], 0, []
    for i in range(len(queries)):
        scores = {}
        for j in range(len(passages)):
            same = items[offset + i] == items[j]
            same = same or (hashes is not None and hashes[offset + i] == hashes[j])
            if j != offset + i and same:
                masked += 1
            else:
                scores[j] = sum(a * b for a, b in zip(queries[i], passages[j], strict=True)) / tau
        positive = scores.pop(offset + i)
        top = max([positive, *scores.values()])
        total = sum(math.exp(score - top) for score in [positive, *scores.values()])
        losses.append(math.log(total) + top - positive)
        correct.append(all(positive > score for score in scores.values()))
    return losses, masked, correct


@st.composite
def batches(draw):
    world_size, n = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    total = world_size * n
    ids = st.lists(st.integers(0, 5), min_size=total, max_size=total)
    hashes = draw(st.none() | ids)
    return draw(ids), hashes, n, n * draw(st.integers(0, world_size - 1)), draw(st.integers(0, 2**32 - 1))


@settings(deadline=None)
@given(batches(), st.sampled_from([1.0, 0.05, 0.01]), st.integers(1, 30))
def test_info_nce_equals_its_definition(batch, tau, tile):
    items, hashes, n, offset, seed = batch
    rng = np.random.default_rng(seed)
    queries, passages = unit(rng, len(items), 3), unit(rng, len(items), 3)
    own = slice(offset, offset + n)
    found = info_nce(
        queries[own],
        Columns(vectors=passages, items=torch.tensor(items), hashes=None if hashes is None else torch.tensor(hashes)),
        torch.arange(offset, offset + n),
        temperature=torch.tensor(tau),
        tile=tile,
    )
    losses, masked, correct = oracle(queries[own].tolist(), passages.tolist(), tau, offset, items, hashes)
    np.testing.assert_allclose(found.row_loss, losses, rtol=1e-4, atol=1e-4)
    assert int(found.num_masked) == masked
    assert found.row_correct.tolist() == correct
    assert float(found.loss) == pytest.approx(np.mean(losses), rel=1e-4, abs=1e-4)
    rows = queries[own].clone()
    columns = Columns(
        vectors=passages, items=torch.tensor(items), hashes=None if hashes is None else torch.tensor(hashes)
    )
    positives = torch.arange(offset, offset + n)
    again = info_nce(rows, columns, positives, temperature=torch.tensor(tau), tile=tile, in_place=True)
    assert again.rows.data_ptr() == rows.data_ptr()
    assert torch.equal(again.rows, found.rows)
    assert torch.equal(again.columns, found.columns)


def plain_loss(queries, passages, negatives, tau, items, hashes, weights, symmetric):
    """The loss of one process in ordinary autograd, all similarities at once, in float64."""
    n = len(queries)

    def one_way(rows, columns, column_hashes):
        same = items[:, None] == torch.cat([items, torch.full((len(columns) - n,), -1)])[None]
        same |= hashes[:, None] == column_hashes[None]
        same[torch.arange(n), torch.arange(n)] = False
        scores = (rows @ columns.T / tau).masked_fill(same, -torch.inf)
        return (torch.nn.functional.cross_entropy(scores, torch.arange(n), reduction="none") * weights).mean()

    vectors, column_hashes = [passages], [hashes]
    if negatives is not None:
        vectors.append(negatives[0].flatten(0, 1))
        column_hashes.append(negatives[1].flatten())
    loss = one_way(queries, torch.cat(vectors), torch.cat(column_hashes))
    return (loss + one_way(passages, queries, hashes)) / 2 if symmetric else loss


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 12),
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
    st.integers(1, 200),
    st.integers(0, 2**32 - 1),
)
def test_loss_and_gradients_equal_autograd_on_the_whole_matrix(n, num_negatives, symmetric, weighted, tile, seed):
    rng = np.random.default_rng(seed)
    items, hashes = torch.from_numpy(rng.integers(0, n, n)), torch.from_numpy(rng.integers(0, n, n))
    weights = torch.from_numpy(rng.uniform(0.5, 2, n)).float() if weighted else None
    vectors = [unit(rng, n, 4), unit(rng, n, 4), unit(rng, n, num_negatives, 4)]
    negative_hashes = torch.from_numpy(rng.integers(0, n, (n, num_negatives)))
    head = ContrastiveLoss(temperature=0.2, learned_temperature=True, symmetric=symmetric, tile=tile)
    extra = {"negatives": vectors[2], "negative_hashes": negative_hashes} if num_negatives else {}
    found = head(*vectors[:2], items, hashes, weights=weights, **extra)

    leaves = [v.double().requires_grad_() for v in vectors]
    tau = head.temperature().detach().double().requires_grad_()
    scaled = torch.ones(n) if weights is None else weights / weights.mean()
    negatives = (leaves[2], negative_hashes) if num_negatives else None
    loss = plain_loss(*leaves[:2], negatives, tau, items, hashes, scaled.double(), symmetric)
    loss.backward()
    assert float(found.loss) == pytest.approx(float(loss.detach()), rel=1e-5, abs=1e-6)
    pairs = [(found.queries, leaves[0]), (found.passages, leaves[1])]
    if num_negatives:
        pairs.append((found.negatives, leaves[2]))
    for gradient, leaf in pairs:
        np.testing.assert_allclose(gradient, leaf.grad, rtol=0, atol=1e-5 * max(1e-2, float(leaf.grad.abs().max())))
    assert float(found.temperature) == pytest.approx(float(tau.grad), rel=1e-4, abs=1e-5)
    log_tau = head.temperature.log_temperature
    head.surrogate(found).backward()
    assert float(log_tau.grad) == pytest.approx(float(tau.grad * tau.detach()), rel=1e-4, abs=1e-5)


def test_masked_rows_receive_no_gradient_from_each_other():
    rng = np.random.default_rng(0)
    columns = Columns(vectors=unit(rng, 3, 8), items=torch.tensor([7, 7, 8]), hashes=torch.tensor([1, 2, 3]))
    found = info_nce(unit(rng, 1, 8), columns, torch.tensor([0]), temperature=torch.tensor(0.05))
    assert found.columns[1].abs().max() == 0
    assert found.columns[2].abs().max() > 0


def test_a_row_without_negatives_costs_nothing():
    vectors = unit(np.random.default_rng(0), 2, 4)
    found = ContrastiveLoss(symmetric=True)(vectors, vectors.flip(0), torch.tensor([3, 3]))
    assert float(found.loss) == 0.0
    assert int(found.stats.num_masked) == 2
    assert found.stats.row_correct.all()
    assert found.queries.abs().max() == found.passages.abs().max() == 0


def test_a_collapsed_encoder_is_never_right():
    same = torch.ones(4, 3) / math.sqrt(3)
    found = ContrastiveLoss()(same, same, torch.arange(4))
    assert float(found.loss) == pytest.approx(math.log(4), rel=1e-6)
    assert float(found.stats.accuracy) == 0.0


def test_a_place_without_a_negative_is_as_if_it_were_not_there():
    rng = np.random.default_rng(3)
    queries, passages, negatives = unit(rng, 3, 4), unit(rng, 3, 4), unit(rng, 3, 2, 4)
    present = torch.tensor([[True, False], [False, False], [True, False]])
    loss = ContrastiveLoss(temperature=0.1)
    given = {"queries": queries, "passages": passages, "items": torch.arange(3), "passage_hashes": torch.arange(3)}
    hashes = torch.arange(10, 16).view(3, 2)
    found = loss(**given, negatives=negatives, negative_hashes=hashes, negative_present=present)
    columns = Columns(
        vectors=torch.cat([passages, negatives[[0, 2], 0]]), items=torch.tensor([0, 1, 2, -1, -1]), hashes=None
    )
    expected = info_nce(queries, columns, torch.arange(3), temperature=torch.tensor(0.1))
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(found.queries, expected.rows)
    torch.testing.assert_close(found.negatives[[0, 2], 0], expected.columns[3:])
    assert not found.negatives[~present].any()
    assert int(found.stats.num_masked) == 0


def test_a_negative_that_reads_like_the_positive_is_none():
    rng = np.random.default_rng(2)
    queries, passages = unit(rng, 2, 4), unit(rng, 2, 4)
    negatives = torch.stack([passages, unit(rng, 2, 4)], dim=1)
    hashes = torch.tensor([10, 11])
    found = ContrastiveLoss()(
        queries,
        passages,
        torch.arange(2),
        hashes,
        negatives=negatives,
        negative_hashes=torch.tensor([[10, 20], [11, 21]]),
    )
    assert int(found.stats.num_masked) == 2
    alone = ContrastiveLoss()(queries, passages, torch.arange(2), hashes)
    assert (found.stats.row_loss > alone.stats.row_loss).all()


def test_loss_is_float32_and_exact_under_autocast():
    rng = np.random.default_rng(1)
    queries, passages = unit(rng, 6, 16), unit(rng, 6, 16)
    head = ContrastiveLoss(temperature=0.01)
    expected = head(queries, passages, torch.arange(6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head(queries, passages, torch.arange(6))
    assert found.loss.dtype == found.queries.dtype == torch.float32
    assert torch.equal(found.loss, expected.loss)
    assert torch.equal(found.queries, expected.queries)


def test_temperature_fixed_and_learned():
    fixed = Temperature(0.07)
    assert float(fixed()) == pytest.approx(0.07)
    assert not list(fixed.parameters())
    assert not fixed.state_dict()
    learned = Temperature(0.07, learned=True)
    learned().backward()
    assert float(learned.log_temperature.grad) == pytest.approx(0.07)  # d exp(x) / dx
    for far, bound in ((-50.0, LOWEST), (50.0, HIGHEST)):
        learned.log_temperature.data.fill_(far)
        learned.log_temperature.grad = None
        learned().backward()
        assert float(learned().detach()) == pytest.approx(bound)
        assert float(learned.log_temperature.grad) == pytest.approx(bound)  # it can come back


@pytest.mark.parametrize(("initial", "learned"), [(0.0, False), (-1.0, False), (math.nan, False), (0.001, True)])
def test_temperature_out_of_range_is_refused(initial, learned):
    with pytest.raises(ConfigError, match=r"temperature is .*; allowed is"):
        Temperature(initial, learned=learned)
