"""The rule by which a study recommends a configuration, and what is known of how sure that is.

The rule: the least worst loss (minimax regret). A configuration's loss in a number is how far it stays below the best
of all, relatively: (best - x) / best, of rank distance (x - best) / x. Of mono, cross and pool mAP, and what else the
recipe names, the largest weighted loss counts, and the configuration with the smallest one is recommended. Those within
`tune.margin` of it go by rank distance. Training in the source language alone and no training are compared and never
recommended; X-X and X-Y are, wherever they lie. A configuration of which trials failed or were stopped is left out, as
long as there are others: without its bad seeds it would look better than it is.

How sure that is comes from draws of other questions and other seeds, the best taken anew in each draw. Since the least
loss is picked before anything is tested, each is held against the range of all (Tukey's): the confidence set has those
whose worst loss is above the recommended one's by no more than the 95% quantile of the largest difference that chance
makes between any two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import FloatArray
from hbt_ray.config.headline import LOWER_IS_BETTER
from hbt_ray.config.rule import THREE, RuleConfig
from hbt_ray.stats.compare import CONFIDENCE, Difference, correct
from hbt_ray.stats.crossed import Draws
from hbt_ray.study.arms import find_arm
from hbt_ray.study.outlook import what_settles
from hbt_ray.study.points_on_set import PointsOnSet

State = Literal["clear", "open", "unknown", "alone"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Decision:
    """The recommended configuration; numbers are positions in `PointsOnSet.points`, P of them."""

    weights: dict[str, float]
    """Weight of each of the N numbers whose losses count."""
    recommended: int
    candidates: tuple[int, ...]
    """Those that could be chosen, the least worst loss first."""
    left_out: tuple[int, ...]
    """Of which trials failed or were stopped."""
    guarded: dict[int, dict[str, float]]
    """Those that lose more than `tune.guards` tolerates -> number -> loss."""
    below_base: dict[int, dict[str, Difference]]
    """Those significantly below the untrained base by more than `tune.base_guard` -> number -> against that limit."""
    losses: FloatArray
    """Of all, in each number, against the best of those that may be recommended, [P, N]; not weighted."""
    worst: FloatArray
    """Largest weighted loss, [P]."""
    confidence_set: tuple[int, ...]
    """Candidates that may be the best as far as the draws tell, the least worst loss first; all where nothing does."""
    reach: float
    """How far above the recommended one's a worst loss may be in the set; NaN where unknown."""
    lead: float
    """Share of the draws in which none gives up less than the recommended one; NaN where unknown."""
    state: State
    """`clear`: the set holds one; `open`: several; `unknown`: one seed each; `alone`: one candidate."""
    seeds_needed: int | None
    """Seeds a configuration, in all, at which four studies of five would be clear; None: more than `MAX_SEEDS`."""
    questions_needed: int | None
    """Questions without which no number of seeds makes it clear; None where no number of them does."""
    num_seeds: int
    """The fewest of a configuration that takes part."""
    most_seeds: int
    seeds_known: bool
    """Whether the spread between seeds is known."""

    @property
    def none_passes(self) -> bool:
        """Whether every configuration is stopped by a guard, so that the least worst of these is named."""
        return self.recommended in self.guarded or self.recommended in self.below_base

    @property
    def others(self) -> list[int]:
        """The other candidates, the least worst loss first."""
        return [at for at in self.candidates if at != self.recommended]


def decide(on_set: PointsOnSet, draws: Draws, target: str, rule: RuleConfig) -> Decision | None:
    """Apply the rule to the points of one set; None where nothing may be recommended, or no number counts there."""
    weights = {name: weight for name, weight in rule.weights_of(target).items() if name in on_set.metrics}
    eligible = [at for at, point in enumerate(on_set.points) if point.eligible]
    if not eligible or not weights:
        return None
    taking_part = [at for at in eligible if not on_set.points[at].lost] or eligible
    losses = _Losses(on_set, weights, taking_part)
    means = np.array([point.means for point in on_set.points])
    lost = losses.of(means)
    worst = losses.worst(means)
    guarded = _guarded(on_set, means, taking_part, rule)
    below_base = _below_base(on_set, draws, taking_part, rule)
    passing = [at for at in taking_part if at not in guarded and at not in below_base] or taking_part
    candidates = sorted(passing, key=lambda at: worst[at])
    near = [at for at in candidates if worst[at] <= worst[candidates[0]] + rule.margin]
    distances = means[:, on_set.at("rank_distance")] if "rank_distance" in on_set.metrics else worst
    recommended = min(near, key=lambda at: (distances[at], worst[at]))
    drawn = losses.worst(draws.total.swapaxes(0, 1))[:, candidates]
    centred = drawn - drawn.mean(axis=0)
    reach = float(np.quantile(np.ptp(centred, axis=1), CONFIDENCE)) if draws.known else np.nan
    members = [at for at in candidates if not worst[at] - worst[recommended] > reach]
    seeds_known = draws.spread.df > 0
    state: State = "clear" if len(members) == 1 else "open"
    needed: tuple[int | None, int | None] = (None, None)
    if len(candidates) == 1:
        state = "alone"
    elif not seeds_known:
        state = "unknown"
    elif state == "open":
        needed = what_settles(on_set, draws, losses.worst, candidates, recommended)
    num_seeds = [on_set.points[at].num_seeds for at in taking_part]
    return Decision(
        weights=weights,
        recommended=recommended,
        candidates=tuple(candidates),
        left_out=tuple(at for at in eligible if at not in taking_part),
        guarded=guarded,
        below_base=below_base,
        losses=lost,
        worst=worst,
        confidence_set=tuple(members),
        reach=reach,
        lead=float((drawn[:, candidates.index(recommended)] <= drawn.min(axis=1)).mean()) if draws.known else np.nan,
        state=state,
        seeds_needed=needed[0],
        questions_needed=needed[1],
        num_seeds=min(num_seeds),
        most_seeds=max(num_seeds),
        seeds_known=seeds_known,
    )


class _Losses:
    """Losses against the best of `best_of` in some numbers of a set."""

    def __init__(self, on_set: PointsOnSet, weights: dict[str, float], best_of: Sequence[int]) -> None:
        self.columns = [on_set.at(name) for name in weights]
        self.weights = np.array(list(weights.values()))
        self.lower = np.array([name in LOWER_IS_BETTER for name in weights])
        self.best_of = list(best_of)

    def of(self, numbers: FloatArray) -> FloatArray:
        """Relative losses [..., P, N] from all numbers [..., P, M]; 0 where a draw does not define one."""
        return relative_losses(numbers[..., self.columns], self.best_of, self.lower)

    def worst(self, numbers: FloatArray) -> FloatArray:
        """Largest weighted losses, [..., P]."""
        worst: FloatArray = (self.weights * self.of(numbers)).max(axis=-1)
        return worst


def relative_losses(numbers: FloatArray, best_of: Sequence[int], lower: NDArray[np.bool_]) -> FloatArray:
    """How far each of P points is from the best of those at `best_of`, [..., P, N]: (best - x) / best.

    `lower` [N] says of which numbers less is better; their loss is (x - best) / x, so that it is below 1 too. A number
    that is not defined, or whose best is 0, is no loss.
    """
    among = numbers[..., best_of, :]
    best = np.where(lower, among.min(axis=-2), among.max(axis=-2))[..., None, :]
    whole = np.where(lower, numbers, best)
    lost = np.where(lower, numbers - best, best - numbers)
    losses: FloatArray = np.nan_to_num(np.divide(lost, whole, out=np.zeros_like(lost), where=whole > 0))
    return losses


def point_difference(on_set: PointsOnSet, draws: Draws, metric: str, point: int, other: int) -> Difference:
    """`point` against `other` in one number, over seeds and questions; `unknown` where neither are known."""
    return _difference(on_set, draws, metric, point, other, 1.0)


def _difference(on_set: PointsOnSet, draws: Draws, metric: str, point: int, other: int, share: float) -> Difference:
    """`point` against a `share` of `other`."""
    column = on_set.at(metric)
    drawn = draws.total[point, :, column] - share * draws.total[other, :, column]
    a, b = share * on_set.points[other].means[column], on_set.points[point].means[column]
    return Difference.of(metric, a, b, draws.interval(drawn), draws.p_value(drawn))


def _guarded(
    on_set: PointsOnSet, means: FloatArray, taking_part: Sequence[int], rule: RuleConfig
) -> dict[int, dict[str, float]]:
    guards = {name: most for name, most in rule.guards.items() if name in on_set.metrics}
    losses = _Losses(on_set, guards, taking_part).of(means) if guards else np.zeros((len(means), 0))
    lost = {at: dict(zip(guards, losses[at].tolist(), strict=True)) for at in taking_part}
    beyond = {at: {name: loss for name, loss in row.items() if loss > guards[name]} for at, row in lost.items()}
    return {at: row for at, row in beyond.items() if row}


def _below_base(
    on_set: PointsOnSet, draws: Draws, taking_part: Sequence[int], rule: RuleConfig
) -> dict[int, dict[str, Difference]]:
    base = find_arm(on_set, "untrained", None)
    if base is None or rule.base_guard is None:
        return {}
    metrics = [metric for metric in THREE if metric in on_set.metrics]
    rows = correct(
        {
            (at, metric): _difference(on_set, draws, metric, at, base, 1 - rule.base_guard)
            for at in taking_part
            for metric in metrics
        }
    )
    below: dict[int, dict[str, Difference]] = {}
    for (at, metric), row in rows.items():
        if row.worse:
            below.setdefault(at, {})[metric] = row
    return below
