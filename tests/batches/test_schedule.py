from typing import get_args, get_type_hints

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hbt_ray.batches.schedule import SCHEDULES, alpha_at
from hbt_ray.config import PlanConfig


@given(st.floats(0, 1), st.integers(1, 50))
def test_constant(alpha, num_steps):
    assert alpha_at(PlanConfig(alpha=alpha), num_steps).tolist() == [alpha] * num_steps


def test_linear_goes_from_the_first_step_to_the_last():
    config = PlanConfig(alpha=0.2, alpha_schedule="linear", alpha_end=1.0)
    np.testing.assert_allclose(alpha_at(config, 5), [0.2, 0.4, 0.6, 0.8, 1.0], rtol=0, atol=1e-12)
    assert alpha_at(config, 1).tolist() == [0.2]


def test_staged_changes_at_shares_of_the_run():
    config = PlanConfig(alpha_schedule="staged", alpha_stages=((0, 1.0), (0.3, 0.25), (0.7, 0.0)))
    assert alpha_at(config, 10).tolist() == [1.0] * 3 + [0.25] * 4 + [0.0] * 3
    assert alpha_at(config, 1).tolist() == [1.0]


def test_every_schedule_can_be_asked_for():
    assert set(get_args(get_type_hints(PlanConfig)["alpha_schedule"])) == set(SCHEDULES)
