"""The rule by which a study recommends a configuration: what its losses are made of, and what it must not lose."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import NonNegativeFloat

from hbt_ray.config.checks import require
from hbt_ray.config.headline import HEADLINE

THREE = ("mono_map", "cross_map", "pool_map")
"""The numbers of which a configuration should lose little: mAP inside a language, across languages and in the pool."""
TRAFFIC = "traffic_map"
"""mAP over pairs of languages, weighted by `tune.traffic`."""


@dataclass(frozen=True, kw_only=True)
class RuleConfig:
    """The least worst loss: how far a configuration stays below the best in its worst number is to be small.

    Fields of the section `tune`, which checks them.
    """

    weights: dict[str, NonNegativeFloat] = field(default_factory=dict)
    """Weight of a number's relative loss, such as {mono_map: 2}; 0 drops it. Mono, cross and pool mAP, the number of
    `metric` and `traffic_map` have 1 unless named here; any other headline number takes part where it is named."""
    margin: NonNegativeFloat = 0.005
    """Of the worst loss, absolute: configurations that are so near to the least one go by rank distance."""
    traffic: dict[str, dict[str, NonNegativeFloat]] = field(default_factory=dict)
    """Searches to be served: language of the question -> language of the passages -> weight, such as
    {de: {de: 3, en: 1}}. Their weighted mAP joins the losses."""
    guards: dict[str, NonNegativeFloat] = field(default_factory=dict)
    """Relative losses that are tolerated, such as {mono_map: 0.03}; a configuration that loses more, as estimated, is
    not recommended."""
    base_guard: NonNegativeFloat | None = 0.02
    """No configuration is recommended that is below the untrained base model by more than this share of its mono, cross
    or pool mAP, beyond chance; null: not looked at."""

    def __post_init__(self) -> None:
        known = (*HEADLINE, TRAFFIC)
        for where in ("weights", "guards"):
            for name in getattr(self, where):
                require(name in known, f"tune.{where}", name, f"some of {', '.join(known)}")
        weights = [weight for row in self.traffic.values() for weight in row.values()]
        require(not self.traffic or sum(weights) > 0, "tune.traffic", self.traffic, "a weight above 0")

    def weights_of(self, target: str) -> dict[str, float]:
        """Number -> weight of its loss, above 0, with `target` the number of `tune.metric`."""
        weights = {**dict.fromkeys((*THREE, target), 1.0), **({TRAFFIC: 1.0} if self.traffic else {}), **self.weights}
        return {name: weight for name, weight in weights.items() if weight > 0}
