"""Batches that runs of before have had: a change here is another experiment under the same recipe."""

import hashlib

import numpy as np
import pytest

from hbt_ray.batches.plan import BatchPlan
from hbt_ray.config import PlanConfig
from tests.batches.cases import index_of

NUM_STEPS = 300
KEPT = {
    ("mixed", 8): "9583a0131d7b2c983b2e4dee41254f009a6249d782df80c2b07c2c88dd381b13",
    ("mixed", 40): "eaf63f55821e97ae0362f0f1c9d1c8122276ab835580489af600b8e77977007b",
    ("single", 8): "4dad09ece39c931d326bef4fb1aefd504252691946c4617eeab88d762b9e2876",
    ("single", 40): "c1ba0446cd7d99a2e71ff7f5efc9cfec8f853589397697326ef87c7d0a1c56b5",
}
"""Pairing and batch size (of 40, most streams are smaller than two batches) -> digest of 300 steps."""


@pytest.mark.parametrize(("pairs", "batch_size"), KEPT)
def test_batches_are_those_that_there_have_always_been(pairs, batch_size):
    rng = np.random.default_rng(7)
    has = rng.random((400, 5)) < [0.9, 0.8, 0.5, 0.3, 0.2]
    has[~has.any(axis=1), 0] = True
    config = PlanConfig(
        pairs=pairs,
        batch_size=batch_size,
        alpha=0.3,
        shuffle_row_groups=2,
        lang_temperature=3.0 if batch_size == 8 else None,
    )
    plan = BatchPlan(index_of(has, [(f"s{n % 3}", 20) for n in range(20)]), config, seed=11, num_steps=NUM_STEPS)
    digest = hashlib.sha256()
    for number in range(NUM_STEPS):
        step = plan.step(number)
        for values, kind in ((step.items, "<i8"), (step.query_langs, "<i2"), (step.passage_langs, "<i2")):
            digest.update(np.ascontiguousarray(values.astype(kind)).tobytes())
    assert digest.hexdigest() == KEPT[pairs, batch_size]
