"""What every trial is scored on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hbt_ray.config.checks import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What every trial is scored on."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    sets: tuple[str, ...] = ()
    """Retrieval sets scored at the end, as `xquad_r:DIRECTORY`, besides the dev items."""
    dev_langs: tuple[str, ...] = ()
    """Languages in which the dev items are scored; empty is all the corpus has."""
    max_dev_items: int = 300
    """Dev items that are scored (a fixed random choice); 0 is all."""
    token_budget: int = 4096
    """Padded tokens a worker encodes at once."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of encoding, as in `train.precision`."""

    def __post_init__(self) -> None:
        require(self.max_dev_items >= 0, "evaluation.max_dev_items", self.max_dev_items, "0 (all) or above")
        require(self.token_budget >= 512, "evaluation.token_budget", self.token_budget, "at least 512")
        for name in self.sets:
            require(":" in name, "evaluation.sets", name, "KIND:DIRECTORY, e.g. xquad_r:/data/xquad_r/eval")
