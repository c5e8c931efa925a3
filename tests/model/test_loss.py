import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import ConfigError
from hbt_ray.model.loss import ContrastiveLoss, info_nce
from hbt_ray.model.temperature import HIGHEST, LOWEST, Temperature


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
@given(batches(), st.sampled_from([1.0, 0.05, 0.01]), st.booleans())
def test_info_nce_equals_its_definition(batch, tau, symmetric):
    items, hashes, n, offset, seed = batch
    rng = np.random.default_rng(seed)
    queries, passages = unit(rng, len(items), 3), unit(rng, len(items), 3)
    own = slice(offset, offset + n)
    loss, stats = info_nce(
        queries[own],
        passages,
        temperature=tau,
        offset=offset,
        query_items=torch.tensor(items)[own],
        passage_items=torch.tensor(items),
        passage_hashes=None if hashes is None else torch.tensor(hashes),
        all_queries=queries if symmetric else None,
    )
    losses, masked, correct = oracle(queries[own].tolist(), passages.tolist(), tau, offset, items, hashes)
    np.testing.assert_allclose(stats.row_loss, losses, rtol=1e-4, atol=1e-4)
    assert int(stats.num_masked) == masked
    assert stats.row_correct.tolist() == correct
    assert float(stats.accuracy) == pytest.approx(np.mean(correct))
    assert float(stats.temperature) == pytest.approx(tau)
    expected = np.mean(losses)
    if symmetric:
        back, _, _ = oracle(passages[own].tolist(), queries.tolist(), tau, offset, items, hashes)
        expected = (expected + np.mean(back)) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_masked_rows_receive_no_gradient_from_each_other():
    rng = np.random.default_rng(0)
    queries, passages = unit(rng, 1, 8), unit(rng, 3, 8).requires_grad_()
    loss, _ = info_nce(
        queries,
        passages,
        temperature=0.05,
        offset=0,
        query_items=torch.tensor([7]),
        passage_items=torch.tensor([7, 7, 8]),
        passage_hashes=torch.tensor([1, 2, 3]),
    )
    loss.backward()
    assert passages.grad[1].abs().max() == 0
    assert passages.grad[2].abs().max() > 0


def test_a_row_without_negatives_costs_nothing():
    vectors = unit(np.random.default_rng(0), 2, 4).requires_grad_()
    loss, stats = ContrastiveLoss(symmetric=True)(vectors, vectors.flip(0), torch.tensor([3, 3]))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert int(stats.num_masked) == 2
    assert stats.row_correct.all()
    assert torch.isfinite(vectors.grad).all()


def test_a_collapsed_encoder_is_never_right():
    same = torch.ones(4, 3) / math.sqrt(3)
    loss, stats = ContrastiveLoss()(same, same, torch.arange(4))
    assert float(loss) == pytest.approx(math.log(4), rel=1e-6)
    assert float(stats.accuracy) == 0.0


def test_loss_is_float32_and_exact_under_autocast():
    rng = np.random.default_rng(1)
    queries, passages = unit(rng, 6, 16), unit(rng, 6, 16)
    head = ContrastiveLoss(temperature=0.01)
    expected, _ = head(queries, passages, torch.arange(6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = head(queries, passages, torch.arange(6))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


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
