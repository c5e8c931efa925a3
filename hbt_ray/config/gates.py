"""What a model must show before it ships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hbt_ray.config.checks import FORBID_UNKNOWN, require
from hbt_ray.config.headline import HEADLINE


@dataclass(frozen=True, kw_only=True)
class GatesConfig:
    """Conditions of `jobs/promote.py`: a model that meets all of them becomes the champion; null or [] is no gate."""

    __pydantic_config__: ClassVar[Any] = FORBID_UNKNOWN

    model: str = ""
    """Registered model whose alias `champion` moves; empty is the MLflow experiment's name."""
    sets: tuple[str, ...] = ()
    """Sets on which every gate must be passed, e.g. [dev, xquad_r]; empty is the one that the study ranks points by."""
    min_scores: tuple[str, ...] = ()
    """Least headline numbers, as NAME>=VALUE, e.g. ["pool_map>=0.4", "mono_r1>=0.6"]."""
    max_rank_distance: float | None = None
    """Most places between the parallel answers of a question in the pool, mean over languages."""
    min_worst_lang_map: float | None = None
    """Least mAP in the pool of the language of questions that is served worst."""
    min_worst_lang_recall: float | None = None
    """Least R@10 in the pool of the language of questions that is served worst."""
    max_loss_per_language: float | None = 0.0
    """Against the champion: mAP that a language of questions may lose, in the pool and inside the language. More than
    this fails where it is more than chance (paired permutation test over questions, Holm over all languages)."""
    min_questions: int = 0
    """Languages with fewer questions than this are not looked at by `max_loss_per_language`; any other in which so few
    were asked that even a loss on all of them could be chance fails it where it has lost."""
    no_loss_in: tuple[str, ...] = ("pool_map",)
    """Against the champion: headline numbers that must not be worse beyond chance (the same test)."""
    level: float = 0.05
    """Chance of a false alarm that each comparison with the champion may have, over all that it tests."""

    def __post_init__(self) -> None:
        require(not set("/:") & set(self.model), "gates.model", self.model, "a name without / and :")
        for text in self.min_scores:
            self._parsed(text)
        for name in ("max_rank_distance", "min_worst_lang_map", "min_worst_lang_recall", "max_loss_per_language"):
            value = getattr(self, name)
            require(value is None or value >= 0, f"gates.{name}", value, "0 or above, or null (no gate)")
        require(self.min_questions >= 0, "gates.min_questions", self.min_questions, "0 or above")
        for name in self.no_loss_in:
            require(name in HEADLINE, "gates.no_loss_in", name, f"some of {', '.join(HEADLINE)}")
        require(0 < self.level < 1, "gates.level", self.level, "a probability between 0 and 1")

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
