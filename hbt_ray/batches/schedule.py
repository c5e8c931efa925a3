"""Alpha, the probability that a step is monolingual, as a function of the step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hbt_ray.config import PlanConfig


def alpha_at(config: PlanConfig, num_steps: int) -> np.ndarray:
    """float64 [num_steps]: the probability that each step is monolingual."""
    return SCHEDULES[config.alpha_schedule](config, num_steps)


def _constant(config: PlanConfig, num_steps: int) -> np.ndarray:
    """`alpha` at every step (the paper)."""
    return np.full(num_steps, config.alpha)


def _linear(config: PlanConfig, num_steps: int) -> np.ndarray:
    """From `alpha` at the first step to `alpha_end` at the last."""
    return np.linspace(config.alpha, config.alpha_end, num_steps)


def _staged(config: PlanConfig, num_steps: int) -> np.ndarray:
    """The alpha of the last of `alpha_stages` that has begun; a stage begins at a share of the run, the first at 0."""
    starts = np.array([start for start, _ in config.alpha_stages])
    alphas = np.array([alpha for _, alpha in config.alpha_stages])
    share = np.arange(num_steps) / num_steps
    return alphas[np.searchsorted(starts, share, side="right") - 1]


SCHEDULES: dict[str, Callable[[PlanConfig, int], np.ndarray]] = {
    "constant": _constant,
    "linear": _linear,
    "staged": _staged,
}
"""Name in `plan.alpha_schedule` -> float64 [num_steps] of a configuration and a number of steps."""
