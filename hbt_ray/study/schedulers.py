"""Which trials go on: all of them, or, with early stopping, the stronger ones.

Trials are compared after as many pairs, which is after as many steps unless they differ in batch size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hbt_ray.config import Recipe

PAIRS = "pairs"
"""What trials report beside their scores: pairs seen so far."""


def make_scheduler(recipe: Recipe) -> Any:
    """The Ray Tune scheduler of a study."""
    from ray.tune.schedulers import FIFOScheduler

    rules = [make for field, make in STOPPING.items() if getattr(recipe.tune, field)]
    return rules[0](recipe) if rules else FIFOScheduler()


def _asha(recipe: Recipe) -> Any:
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(
        time_attr=PAIRS,
        metric=recipe.tune.metrics[0],
        mode=recipe.tune.modes[0],
        # at max_t it would stop a trial that is about to end by itself
        max_t=recipe.train.steps * recipe.plan.batch_size + 1,
        grace_period=_grace(recipe),
        reduction_factor=recipe.tune.asha_reduction,
    )


def _median(recipe: Recipe) -> Any:
    from ray.tune.schedulers import MedianStoppingRule

    return MedianStoppingRule(
        time_attr=PAIRS,
        metric=recipe.tune.metrics[0],
        mode=recipe.tune.modes[0],
        grace_period=_grace(recipe),
        min_samples_required=recipe.tune.median_min_trials,
        min_time_slice=math.inf,  # never pauses a trial for want of others to compare with
    )


STOPPING: dict[str, Callable[[Recipe], Any]] = {"asha": _asha, "median_stopping": _median}
"""Field of `tune` -> the scheduler that stops weak trials early by its rule."""


def _grace(recipe: Recipe) -> int:
    """Pairs before which no trial is stopped."""
    steps = recipe.tune.asha_grace_steps or recipe.train.eval_every or recipe.train.steps
    return steps * recipe.plan.batch_size
