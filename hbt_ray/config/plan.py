"""The batch plan: what each step of a run is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from hbt_ray.config.checks import Share, ShareBelowOne, require, section


@section("plan")
@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """The batch plan: what step t of a run is made of (`hbt_ray.batches.plan`)."""

    alpha: Share = 0.5
    """Probability that a step is monolingual (X-X); 1 is X-X only, 0 is X-Y only."""
    alpha_schedule: Literal["constant", "linear", "staged"] = "constant"
    """`linear` goes from `alpha` to `alpha_end` over the run; `staged` follows `alpha_stages`."""
    alpha_end: Share = 0.5
    """Alpha at the last step of a `linear` schedule."""
    alpha_stages: tuple[tuple[ShareBelowOne, Share], ...] = ()
    """`staged`: pairs (share of the run at which the stage begins, alpha), the first beginning at 0."""
    batch_size: Annotated[int, Field(ge=2)] = 100
    """Pairs in a GLOBAL batch, over all workers."""
    pairs: Literal["mixed", "single", "anchored", "any", "multiway", "clusters"] = "mixed"
    """X-Y steps: every row its own language pair (`mixed`, the paper), one pair for the whole batch (`single`), rows
    with `anchor_lang` on one side (`anchored`), two languages drawn independently, equal ones too (`any`), items in
    `ways` languages at once (`multiway`), or pairs within and across clusters of languages (`clusters`)."""
    anchor_lang: str = ""
    """Language (BCP-47) of one side of every `anchored` row; empty is `translate.source_lang`."""
    ways: Annotated[int, Field(ge=2)] = 3
    """Languages of an item in a `multiway` batch, which holds batch_size / ways items."""
    gamma: Share = 0.5
    """Share of the X-Y steps whose rows pair languages of one cluster; the other steps pair those of two."""
    clusters: Annotated[str, Field(pattern=r"^(family|typology|centroids|random:\d+)$")] = "family"
    """Clusters of languages: by `family`, by `typology` (URIEL+, needs `hbt-ray[typology]`), by the base encoder's
    `centroids` of held-out parallel passages, or `random:SEED`, of the sizes of the families."""
    partition: tuple[tuple[str, ...], ...] = ()
    """The clusters themselves, as tuples of codes; empty makes them by `clusters`. A run's own are stored with it."""
    equal_pairs: bool = False
    """Draw pairs so that all come alike often within a kind of step, as far as the items have them (`anchored`, `any`,
    `clusters`)."""
    lang_temperature: PositiveFloat | None = None
    """Languages are drawn with p ~ items^(1/T); null is uniform (the paper), 1 is proportional."""
    source_weights: dict[str, NonNegativeFloat] = field(default_factory=dict)
    """Relative weight of a source; those not named weigh their number of items."""
    max_passes: PositiveFloat | None = None
    """A stream (source x language) is drawn for at most this many passes; null is no cap."""
    shuffle_row_groups: PositiveInt = 16
    """Rows are shuffled inside windows of this many row groups, so that reads stay local."""
    langs: tuple[str, ...] = ()
    """Languages (BCP-47) of the corpus to train in; empty is all. Scores are in all of them nevertheless."""

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.alpha_stages]
        if self.alpha_schedule == "staged":
            require(bool(starts) and starts[0] == 0, "plan.alpha_stages", self.alpha_stages, "first stage at 0")
        require(starts == sorted(set(starts)), "plan.alpha_stages", self.alpha_stages, "rising, distinct starts")
