import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import ConfigError
from hbt_ray.losses.contrastive import ContrastiveLoss
from hbt_ray.losses.info_nce import Columns, contrast
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


def columns_of(vectors, items, hashes=None):
    hashes = None if hashes is None else torch.tensor(hashes)
    return Columns(vectors=vectors.requires_grad_(), items=torch.tensor(items), hashes=hashes)


def contrasted(rows, columns, positions, tau, **settings):
    """InfoNCE of rows against columns: loss, statistics, and gradients of both."""
    step = SimpleNamespace(
        temperature=torch.tensor(tau), positions=positions, weights=None, tile=settings.pop("tile", 0)
    )
    rows = rows.detach().requires_grad_()
    loss, stats = contrast(rows, columns, step, **settings)
    return loss.detach(), stats, torch.autograd.grad(loss, [rows, columns.vectors])


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
    rows = slice(offset, offset + n)
    columns = columns_of(passages, items, hashes)
    positions = torch.arange(offset, offset + n)
    loss, stats, gradients = contrasted(queries[rows], columns, positions, tau, tile=tile)
    losses, masked, correct = oracle(queries[rows].tolist(), passages.tolist(), tau, offset, items, hashes)
    np.testing.assert_allclose(stats.row_loss, losses, rtol=1e-4, atol=1e-4)
    assert int(stats.num_masked) == masked
    assert stats.row_correct.tolist() == correct
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-4, abs=1e-4)
    place = queries[rows].clone()
    _, _, again = contrasted(place, columns, positions, tau, tile=tile, in_place=True)
    assert again[0].data_ptr() == place.data_ptr()
    assert torch.equal(again[0], gradients[0])
    assert torch.equal(again[1], gradients[1])


def test_masked_rows_receive_no_gradient_from_each_other():
    rng = np.random.default_rng(0)
    columns = columns_of(unit(rng, 3, 8), [7, 7, 8], [1, 2, 3])
    _, _, (_, to_columns) = contrasted(unit(rng, 1, 8), columns, torch.tensor([0]), 0.05)
    assert to_columns[1].abs().max() == 0
    assert to_columns[2].abs().max() > 0


def test_a_row_without_negatives_costs_nothing():
    vectors = unit(np.random.default_rng(0), 2, 4)
    result = ContrastiveLoss({"info_nce": 0.5, "symmetric": 0.5})(vectors, vectors.flip(0), torch.tensor([3, 3]))
    assert float(result.loss) == 0.0
    assert int(result.stats.num_masked) == 2
    assert result.stats.row_correct.all()
    assert result.queries.abs().max() == result.passages.abs().max() == 0


def test_a_collapsed_encoder_is_never_right():
    same = torch.full((4, 4), 0.5)  # of length 1; all similarities are 1 without rounding, in whatever order they sum
    result = ContrastiveLoss(temperature=1.0)(same, same, torch.arange(4))
    assert float(result.loss) == pytest.approx(math.log(4), rel=1e-6)
    assert not result.stats.row_correct.any()


def test_a_place_without_a_negative_is_as_if_it_were_not_there():
    rng = np.random.default_rng(3)
    queries, passages, negatives = unit(rng, 3, 4), unit(rng, 3, 4), unit(rng, 3, 2, 4)
    present = torch.tensor([[True, False], [False, False], [True, False]])
    loss = ContrastiveLoss(temperature=0.1)
    given = {"queries": queries, "passages": passages, "items": torch.arange(3), "passage_hashes": torch.arange(3)}
    hashes = torch.arange(10, 16).view(3, 2)
    result = loss(**given, negatives=negatives, negative_hashes=hashes, negative_present=present)
    columns = columns_of(torch.cat([passages, negatives[[0, 2], 0]]), [0, 1, 2, -1, -1])
    expected, _, (to_queries, to_columns) = contrasted(queries, columns, torch.arange(3), 0.1)
    torch.testing.assert_close(result.loss, expected)
    torch.testing.assert_close(result.queries, to_queries)
    torch.testing.assert_close(result.negatives[[0, 2], 0], to_columns[3:])
    assert not result.negatives[~present].any()
    assert int(result.stats.num_masked) == 0


def test_a_negative_that_reads_like_the_positive_is_none():
    rng = np.random.default_rng(2)
    queries, passages = unit(rng, 2, 4), unit(rng, 2, 4)
    negatives = torch.stack([passages, unit(rng, 2, 4)], dim=1)
    hashes = torch.tensor([10, 11])
    result = ContrastiveLoss()(
        queries,
        passages,
        torch.arange(2),
        hashes,
        negatives=negatives,
        negative_hashes=torch.tensor([[10, 20], [11, 21]]),
    )
    assert int(result.stats.num_masked) == 2
    alone = ContrastiveLoss()(queries, passages, torch.arange(2), hashes)
    assert (result.stats.row_loss > alone.stats.row_loss).all()


def test_false_negatives_are_counted_where_a_mask_misses_them(monkeypatch):
    """Passages 0 and 1 are one text in two languages, 2 and 3 one text; the negative is passage 1, translated."""
    rng = np.random.default_rng(4)
    queries, passages, negatives = unit(rng, 4, 8), unit(rng, 4, 8), unit(rng, 4, 1, 8)
    given = {
        "items": torch.arange(4),
        "passage_hashes": torch.tensor([1, 2, 3, 3]),
        "groups": torch.tensor([7, 7, 8, 9]),
        "negatives": negatives,
        "negative_hashes": torch.arange(10, 14)[:, None],
        "negative_groups": torch.tensor([[0], [0], [0], [7]]),
        "negative_present": torch.tensor([[True], [True], [True], [True]]),
    }
    stats = ContrastiveLoss()(queries, passages, **given).stats
    assert (int(stats.num_masked), int(stats.num_false)) == (6, 0)
    whole = Columns.masked
    for left_out, num in (({"groups": None}, 4), ({"hashes": None}, 2)):
        monkeypatch.setattr(Columns, "masked", lambda self, rows, less=left_out: whole(replace(self, **less), rows))
        assert int(ContrastiveLoss()(queries, passages, **given).stats.num_false) == num


def test_loss_is_float32_and_exact_under_autocast():
    rng = np.random.default_rng(1)
    queries, passages = unit(rng, 6, 16), unit(rng, 6, 16)
    head = ContrastiveLoss(temperature=0.01)
    expected = head(queries, passages, torch.arange(6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = head(queries, passages, torch.arange(6))
    assert result.loss.dtype == result.queries.dtype == torch.float32
    assert torch.equal(result.loss, expected.loss)
    assert torch.equal(result.queries, expected.queries)


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


def test_an_unknown_term_is_named_with_those_there_are():
    with pytest.raises(
        ConfigError, match=r"model\.losses\.tripplet: there is no such term; there are info_nce, symmetric"
    ):
        ContrastiveLoss({"info_nce": 1.0, "tripplet": 0.5})
