"""Rules by which a configuration could be recommended instead, to be measured beside the least worst loss."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.config.rule import THREE
from hbt_ray.stats.compare import Difference, correct
from hbt_ray.stats.crossed import Draws
from hbt_ray.study.points_on_set import PointsOnSet

Rule = Callable[[PointsOnSet, Draws], tuple[int, bool]]
"""(points, draws) -> the recommended position, and whether the rule is sure of it."""


def best_pool(on_set: PointsOnSet, draws: Draws) -> tuple[int, bool]:
    """The best mAP in the pool."""
    return _best(_means(on_set)[:, on_set.at("pool_map")], draws.total[:, :, on_set.at("pool_map")], draws)


def best_mean(on_set: PointsOnSet, draws: Draws) -> tuple[int, bool]:
    """The best mean of mono, cross and pool mAP."""
    columns = [on_set.at(name) for name in THREE]
    return _best(_means(on_set)[:, columns].mean(axis=1), draws.total[:, :, columns].mean(axis=2), draws)


def mono_first(on_set: PointsOnSet, draws: Draws) -> tuple[int, bool]:
    """The best mAP in the pool among those whose mono mAP is not significantly below the best."""
    mono = on_set.at("mono_map")
    means, drawn = _means(on_set)[:, mono], draws.total[:, :, mono]
    best = int(means.argmax())
    tests = _against(means, drawn, draws, [at for at in range(len(means)) if at != best], best)
    allowed = [best, *(at for at, row in tests.items() if not row.worse)]
    pool = on_set.at("pool_map")
    at, is_sure = _best(_means(on_set)[allowed, pool], draws.total[allowed, :, pool], draws)
    return allowed[at], is_sure


RIVALS: Mapping[str, Rule] = {"best pool": best_pool, "mean of three": best_mean, "mono first": mono_first}


def _means(on_set: PointsOnSet) -> FloatArray:
    return np.array([point.means for point in on_set.points])


def _best(means: FloatArray, drawn: FloatArray, draws: Draws) -> tuple[int, bool]:
    """The highest of `means` [P], and whether it is significantly above each of the others, by Holm's correction."""
    best = int(means.argmax())
    tests = _against(means, drawn, draws, [at for at in range(len(means)) if at != best], best)
    return best, all(row.worse for row in tests.values())


def _against(
    means: FloatArray, drawn: FloatArray, draws: Draws, others: Sequence[int], best: int
) -> dict[int, Difference]:
    """Each of `others` against `best`."""
    rows = {}
    for at in others:
        difference = drawn[at] - drawn[best]
        interval = draws.interval(difference)
        rows[at] = Difference.of("pool_map", means[best], means[at], interval, draws.p_value(difference))
    return correct(rows)
