"""The rules by name, and all of them on rows whose items are whole: which row is rejected by which rule.

A new rule is a file with a function (field, config) -> verdicts, whose docstring says purpose, measure, threshold,
requirement and source, and an entry of `RULES`, by which `clean.rules` names it. The first rule that rejects a row is
its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hbt_ray.cleaning.length_ratio import length_ratio
from hbt_ray.cleaning.lost_parts import entities, numbers
from hbt_ray.cleaning.markup import markup
from hbt_ray.cleaning.repetition import repetition
from hbt_ray.cleaning.similarity import similarity
from hbt_ray.cleaning.texts import Field, Verdicts
from hbt_ray.cleaning.untranslated import untranslated
from hbt_ray.cleaning.wrong_language import wrong_language
from hbt_ray.config.clean import CleanConfig

Rule = Callable[[Field, CleanConfig], Verdicts]
RULES: dict[str, Rule] = {
    "length_ratio": length_ratio,
    "wrong_language": wrong_language,
    "untranslated": untranslated,
    "repetition": repetition,
    "numbers": numbers,
    "entities": entities,
    "markup": markup,
}
"""Name, as in `clean.rules` -> the rule. Each is applied to questions and to passages."""


@dataclass
class Judgement:
    """Why each row is rejected, [n] each; empty and NaN where it is not."""

    reasons: np.ndarray
    """`RULE: question`, `RULE: passage`, `similarity`, ..."""
    values: np.ndarray
    """Measured by the rule."""
    originals: np.ndarray
    """int64 [n]: the row of the same item in the reference language, -1 where there is none and for itself."""

    def reject(self, rows: np.ndarray, reason: str, values: np.ndarray) -> None:
        """Reject `rows` (bool [n]) that no rule has rejected yet."""
        new = rows & (self.reasons == "")
        self.reasons[new] = reason
        self.values[new] = values[new]


def judge(table: pa.Table, config: CleanConfig) -> Judgement:
    """Apply `clean.rules`, then the model where one is given.

    Args:
        table: good rows of `hbt_ray.corpus.rows`, all rows of an item one after the other.
        config: the rules and their thresholds.
    """
    ids = table["id"].to_pylist()
    langs = table["lang"].to_pylist()
    originals = find_originals(ids, langs, config.reference_lang)
    questions, passages = (
        field_of(name, table[name].to_pylist(), langs, originals) for name in ("question", "passage")
    )
    judgement = Judgement(np.full(len(ids), "", object), np.full(len(ids), np.nan), originals)
    for rule in config.rules:
        for field in (questions, passages):
            verdicts = RULES[rule](field, config)
            judgement.reject(verdicts.bad, f"{rule}: {field.name}", verdicts.values)
    if config.model:
        verdicts = similarity(questions, passages, config)
        judgement.reject(verdicts.bad, "similarity", verdicts.values)
    return judgement


def field_of(name: str, texts: list[str], langs: list[str], originals: np.ndarray) -> Field:
    """A column with the originals of its texts."""
    of_rows = [texts[row] if row >= 0 else None for row in originals.tolist()]
    return Field(name=name, langs=langs, texts=texts, originals=of_rows)


def find_originals(ids: Sequence[str], langs: Sequence[str], reference: str) -> np.ndarray:
    """int64 [n]: the row of the same id in the reference language, -1 where there is none and for itself."""
    row_of = {id_: row for row, (id_, lang) in enumerate(zip(ids, langs, strict=True)) if lang == reference}
    rows = [-1 if lang == reference else row_of.get(id_, -1) for id_, lang in zip(ids, langs, strict=True)]
    return np.array(rows, np.int64)
