"""Vectors of a retrieval set, from anything that can encode texts."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.arrays import VectorArray, vector_array, vector_pair
from hbt_ray.model.roles import ROLES, Role

Progress = Callable[[Role, int, int], object]
"""Called with (role, texts done, texts in all)."""


class TextEncoder(Protocol):
    """What encodes: hbt_ray's Encoder, or a stand-in of a few lines."""

    def encode(self, texts: Sequence[str], role: Role) -> VectorArray:
        """[n] texts -> vectors [n, dim], L2-normalised."""
        ...


class TextSet(Protocol):
    """What is encoded: the texts of a retrieval set, each text once."""

    @property
    def queries(self) -> Sequence[str] | None: ...
    @property
    def passages(self) -> Sequence[str] | None: ...


def encode_set(
    encoder: TextEncoder,
    retrieval_set: TextSet,
    *,
    progress: Progress | None = None,
    texts_at_a_time: int = 8192,
) -> tuple[VectorArray, VectorArray]:
    """Query vectors [num_queries, dim] and passage vectors [num_passages, dim], in the order of the set.

    Args:
        encoder: reads queries as role "query", passages as role "passage".
        retrieval_set: queries and passages as texts.
        progress: called after each block of texts.
        texts_at_a_time: size of a block; the encoder sorts by length inside one.

    Raises:
        EvaluationError: a vector is NaN or infinite (a diverged model), or the shapes do not fit.
    """
    texts = {"query": retrieval_set.queries, "passage": retrieval_set.passages}
    vectors = {role: _encode(encoder, texts[role], role, progress, texts_at_a_time) for role in ROLES}
    return vector_pair(vectors["query"], vectors["passage"])


def _encode(
    encoder: TextEncoder, texts: Sequence[str] | None, role: Role, progress: Progress | None, block_size: int
) -> VectorArray:
    if texts is None or not len(texts):
        raise EvaluationError(f"the retrieval set has no {role} texts; give it texts, not only their ids")
    blocks = []
    for start in range(0, len(texts), block_size):
        block = texts[start : start + block_size]
        # Checked block by block, so that a diverged model is found out early.
        field = f"{role} vectors from text {start} on"
        blocks.append(vector_array(field, encoder.encode(block, role), len(block)))
        if progress is not None:
            progress(role, start + len(block), len(texts))
    return np.concatenate(blocks)
