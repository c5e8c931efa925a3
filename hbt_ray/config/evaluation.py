"""What every trial is scored on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from hbt_ray.config.checks import require, section


@section("evaluation")
@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What every trial is scored on."""

    sets: tuple[str, ...] = ()
    """Retrieval sets scored at the end, as `xquad_r:DIRECTORY`, besides the dev items."""
    dev_langs: tuple[str, ...] = ()
    """Languages in which the dev items are scored; empty is all the corpus has."""
    max_dev_items: NonNegativeInt = 300
    """Dev items that are scored (a fixed random choice); 0 is all."""
    token_budget: Annotated[int, Field(ge=512)] = 4096
    """Padded tokens a worker encodes at once."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of encoding, as in `train.precision`."""

    def __post_init__(self) -> None:
        for name in self.sets:
            require(":" in name, "evaluation.sets", name, "KIND:DIRECTORY, e.g. xquad_r:/data/xquad_r/eval")
