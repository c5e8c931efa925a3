"""All rules on rows whose items are whole: which row is rejected by which rule, first come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hbt_ray.cleaning.rules import RULES
from hbt_ray.cleaning.similarity import similarity
from hbt_ray.cleaning.texts import Field
from hbt_ray.config.clean import CleanConfig


@dataclass
class Judgement:
    """Why each row is rejected, [n] each; empty and NaN where it is not."""

    reasons: np.ndarray
    """`RULE: question`, `RULE: passage`, `similarity`, ..."""
    values: np.ndarray
    """What the rule measured."""
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
    found = Judgement(np.full(len(ids), "", object), np.full(len(ids), np.nan), originals)
    for rule in config.rules:
        for field in (questions, passages):
            verdicts = RULES[rule](field, config)
            found.reject(verdicts.bad, f"{rule}: {field.name}", verdicts.values)
    if config.model:
        verdicts = similarity(questions, passages, config)
        found.reject(verdicts.bad, "similarity", verdicts.values)
    return found


def field_of(name: str, texts: list[str], langs: list[str], originals: np.ndarray) -> Field:
    """A column with the originals of its texts."""
    found = [texts[at] if at >= 0 else None for at in originals.tolist()]
    return Field(name=name, langs=langs, texts=texts, originals=found)


def find_originals(ids: Sequence[str], langs: Sequence[str], reference: str) -> np.ndarray:
    """int64 [n]: the row of the same id in the reference language, -1 where there is none and for itself."""
    row_of = {id_: row for row, (id_, lang) in enumerate(zip(ids, langs, strict=True)) if lang == reference}
    found = [-1 if lang == reference else row_of.get(id_, -1) for id_, lang in zip(ids, langs, strict=True)]
    return np.array(found, np.int64)
