"""Which rows of a corpus are rejected, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field, PositiveInt

from hbt_ray.config.checks import Share, require, section

RuleName = Literal["length_ratio", "wrong_language", "untranslated", "repetition", "numbers", "entities", "markup"]


@section("clean")
@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """Which rows of a corpus are rejected, and why.

    Rules on translations compare a row with the row of its item in the reference language; a row without one is judged
    by the other rules alone.
    """

    reference_lang: str = "en"
    """Language of the originals."""
    rules: tuple[RuleName, ...] = get_args(RuleName)
    """Rules that are applied, in this order: a row is filed under the first that rejects it."""
    max_length_ratio: Annotated[float, Field(gt=1)] = 3.5
    """Longest text against its original, and the other way round, in characters weighted by what a script packs into
    one; a handful of characters is allowed on top."""
    min_letters: PositiveInt = 40
    """Letters that a text must have to be judged by its language (a quarter in scripts of syllables and words)."""
    min_confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Probability from which another language, or a family of easily confused ones, counts as found."""
    max_copied: Share = 0.9
    """Share of a translation, in letters, that may stand in the original as it is."""
    min_words: PositiveInt = 6
    """Words (identifiers and numbers not counted) that a text must have to be judged as a copy."""
    max_repetition: Annotated[float, Field(gt=1)] = 3.2
    """How many times smaller a translation may get when compressed, one byte a character; half as much again where
    there is no original."""
    max_lost_numbers: Share = 0.75
    """Share of the numbers of an original (two digits or more) that a translation may lack, in any digits."""
    max_lost_entities: Share = 0.75
    """Share of the addresses and identifiers of an original that a translation may lack."""
    min_kept: PositiveInt = 3
    """Numbers or entities that an original must have for their loss to count."""
    max_lost_tags: Share = 0.75
    """Share of the tags and placeholders of an original that a translation may lack."""
    model: str = ""
    """Encoder that compares a translation with its original; empty: none is."""
    min_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.5
    """Least cosine of question plus passage with the original, with `model`."""
    duplicates: bool = True
    """Whether items are rejected whose question and passage in the reference language (else their first) are nearly
    those of another item in the same languages."""
    max_jaccard: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Overlap of the word triples (character runs where words are not written apart) that both the questions and the
    passages of two items must have to be duplicates."""
    check_against: tuple[str, ...] = ()
    """Retrieval sets, as `xquad_r:DIRECTORY`, of which the corpus should hold nothing."""
    contamination: Literal["report", "remove"] = "report"
    """What is done with items that share a question, or a run of words, with such a set in any language."""
    run_words: PositiveInt = 8
    """Words in a row that make a shared run (`run_chars` in languages that write no spaces)."""
    run_chars: PositiveInt = 20
    """Characters in a row that make a shared run in languages that write no spaces."""

    def __post_init__(self) -> None:
        require(len(set(self.rules)) == len(self.rules), "clean.rules", self.rules, "distinct rules")
        for name in self.check_against:
            require(":" in name, "clean.check_against", name, "KIND:DIRECTORY, e.g. xquad_r:/data/xquad_r/eval")
