"""The batch plan: what each step of a run is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hbt_ray.config.checks import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """The batch plan: what step t of a run is made of (`hbt_ray.batches.plan`)."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    alpha: float = 0.5
    """Probability that a step is monolingual (X-X); 1 is X-X only, 0 is X-Y only."""
    alpha_schedule: Literal["constant", "linear", "staged"] = "constant"
    """`linear` goes from `alpha` to `alpha_end` over the run; `staged` follows `alpha_stages`."""
    alpha_end: float = 0.5
    """Alpha at the last step of a `linear` schedule."""
    alpha_stages: tuple[tuple[float, float], ...] = ()
    """`staged`: pairs (share of the run at which the stage begins, alpha), the first beginning at 0."""
    batch_size: int = 100
    """Pairs in a GLOBAL batch, over all workers."""
    pairs: Literal["mixed", "single"] = "mixed"
    """X-Y steps: every row its own language pair (the paper), or one pair for the whole batch."""
    lang_temperature: float | None = None
    """Languages are drawn with p ~ items^(1/T); null is uniform (the paper), 1 is proportional."""
    source_weights: dict[str, float] = field(default_factory=dict)
    """Relative weight of a source; those not named weigh their number of items."""
    max_passes: float | None = None
    """A stream (source x language) is drawn for at most this many passes; null is no cap."""
    shuffle_row_groups: int = 16
    """Rows are shuffled inside windows of this many row groups, so that reads stay local."""
    langs: tuple[str, ...] = ()
    """Languages (BCP-47) of the corpus to train in; empty is all. Scores are in all of them nevertheless."""

    def __post_init__(self) -> None:
        for name in ("alpha", "alpha_end"):
            require(0 <= getattr(self, name) <= 1, f"plan.{name}", getattr(self, name), "a probability, 0 to 1")
        require(self.batch_size >= 2, "plan.batch_size", self.batch_size, "at least 2 (in-batch negatives)")
        if self.lang_temperature is not None:
            require(self.lang_temperature > 0, "plan.lang_temperature", self.lang_temperature, "above 0, or null")
        if self.max_passes is not None:
            require(self.max_passes > 0, "plan.max_passes", self.max_passes, "above 0, or null")
        require(self.shuffle_row_groups >= 1, "plan.shuffle_row_groups", self.shuffle_row_groups, "at least 1")
        for source, weight in self.source_weights.items():
            require(weight >= 0, f"plan.source_weights.{source}", weight, "0 or above")
        starts = [start for start, _ in self.alpha_stages]
        if self.alpha_schedule == "staged":
            require(bool(starts) and starts[0] == 0, "plan.alpha_stages", self.alpha_stages, "first stage at 0")
        require(starts == sorted(set(starts)), "plan.alpha_stages", self.alpha_stages, "rising, distinct starts")
        require(
            all(0 <= start < 1 and 0 <= alpha <= 1 for start, alpha in self.alpha_stages),
            "plan.alpha_stages",
            self.alpha_stages,
            "pairs (start from 0 to below 1, alpha from 0 to 1)",
        )
