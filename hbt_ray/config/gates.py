"""What a model must show before it ships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from hbt_ray.config.checks import require, section
from hbt_ray.config.headline import HEADLINE


@section("gates")
@dataclass(frozen=True, kw_only=True)
class GatesConfig:
    """Conditions of `jobs/promote.py`: a model that meets all of them becomes the champion; null or [] is no gate."""

    model: str = ""
    """Registered model whose alias `champion` moves; empty is the MLflow experiment's name."""
    sets: tuple[str, ...] = ()
    """Sets on which every gate must be passed, e.g. [dev, xquad_r]; empty is the one that the study ranks points by."""
    min_scores: tuple[str, ...] = ()
    """Least headline numbers, as NAME>=VALUE, e.g. ["pool_map>=0.4", "mono_r1>=0.6"]."""
    max_rank_distance: NonNegativeFloat | None = None
    """Most places between the parallel answers of a question in the pool, mean over languages."""
    min_worst_lang_map: NonNegativeFloat | None = None
    """Least mAP in the pool of the language of questions that is served worst."""
    min_worst_lang_recall: NonNegativeFloat | None = None
    """Least R@10 in the pool of the language of questions that is served worst."""
    max_loss_per_language: NonNegativeFloat | None = 0.0
    """Against the champion: mAP that a language of questions may lose, in the pool and inside the language. More than
    this fails where it is more than chance (paired permutation test over questions, Holm over all languages)."""
    min_questions: NonNegativeInt = 0
    """Languages with fewer questions than this are not looked at by `max_loss_per_language`; any other in which so few
    were asked that even a loss on all of them could be chance fails it where it has lost."""
    no_loss_in: tuple[str, ...] = ("pool_map",)
    """Against the champion: headline numbers that must not be worse beyond chance (the same test)."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Chance of a false alarm that each comparison with the champion may have, over all that it tests."""

    def __post_init__(self) -> None:
        require(not set("/:") & set(self.model), "gates.model", self.model, "a name without / and :")
        for text in self.min_scores:
            self._parsed(text)
        for name in self.no_loss_in:
            require(name in HEADLINE, "gates.no_loss_in", name, f"some of {', '.join(HEADLINE)}")

    @property
    def compares(self) -> bool:
        """Whether any gate looks at the champion."""
        return self.max_loss_per_language is not None or bool(self.no_loss_in)

    @property
    def minima(self) -> dict[str, float]:
        """Headline number -> least value."""
        return dict(map(self._parsed, self.min_scores))

    @staticmethod
    def _parsed(text: str) -> tuple[str, float]:
        name, _, value = text.partition(">=")
        allowed = f"NAME>=VALUE with NAME one of {', '.join(each for each in HEADLINE if each != 'rank_distance')}"
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        ok = name.strip() in HEADLINE and name.strip() != "rank_distance" and number == number
        require(ok, "gates.min_scores", text, allowed)
        return name.strip(), number
