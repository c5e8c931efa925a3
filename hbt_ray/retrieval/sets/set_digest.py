"""Which retrieval set it is, as a name by content: two sets of one digest ask the same of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np

from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

FORMAT = 1
TEXTS_AT_A_TIME = 1000


def set_digest(rs: RetrievalSet) -> str:
    """12 hex digits of all that decides a model's scores: languages, ids, texts, and what answers what."""
    digest = hashlib.sha256(json.dumps([FORMAT, rs.langs]).encode())
    numbers = ("query_langs", "passage_langs", "gold_offsets", "gold_passages", "lost_queries", "lost_grades")
    for name in (*numbers, "own_queries", "own_passages", "gold_grades", "text_passages"):
        values = getattr(rs, name)
        digest.update(f"\n{name} ".encode())
        digest.update(b"" if values is None else np.ascontiguousarray(values, dtype="<i8").tobytes())
    for name in ("query_keys", "passage_ids"):
        digest.update(f"\n{name} {json.dumps(getattr(rs, name).tolist(), default=str)}".encode())
    for name in ("queries", "passages"):
        digest.update(f"\n{name} ".encode())
        for part in _parts(getattr(rs, name) or ()):
            digest.update(part)
    return digest.hexdigest()[:12]


def _parts(texts: Iterable[str]) -> Iterable[bytes]:
    """Texts as JSON, many at a time: one call a text takes longer than hashing it."""
    block: list[str] = []
    for text in texts:
        block.append(text)
        if len(block) == TEXTS_AT_A_TIME:
            yield json.dumps(block).encode()
            block = []
    yield json.dumps(block).encode()
