"""An Encoder as a model of MTEB: `mteb.evaluate(MtebModel(encoder, name), tasks)`; mteb itself is no dependency."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.arrays import VectorArray
from hbt_ray.evaluation.encode import TextEncoder
from hbt_ray.model.roles import Role

ROLE_OF: dict[str, Role] = {"query": "query", "document": "passage", "passage": "passage"}
"""MTEB's prompt type ("passage" in mteb 1.x) -> role."""


class MtebModel:
    """The encoder protocol of mteb 2 and the `encode(sentences, ...)` of mteb 1.38 and after.

    Texts with prompt type query or document get the prefix of that role. Tasks without a prompt type (pairs,
    clustering, classification) compare texts of one kind with each other, and read them as queries.
    """

    def __init__(self, encoder: TextEncoder, name: str, revision: str = "no_revision_available") -> None:
        self.encoder, self.name, self.revision = encoder, name, revision

    def encode(self, inputs: Iterable[Any], *, prompt_type: Any = None, **kwargs: Any) -> VectorArray:
        """Unit vectors [n, dim], in order.

        `inputs` is a DataLoader of batches {"text": [str], ...} (mteb 2), or a list of texts (mteb 1.x).
        Everything else that MTEB passes (task, split, batch size) has no bearing on the vectors.
        Raises EvaluationError for batches without texts and unknown prompt types.
        """
        kind = "query" if prompt_type is None else str(getattr(prompt_type, "value", prompt_type))
        if kind not in ROLE_OF:
            raise EvaluationError(f"prompt_type is {kind!r}; allowed are {', '.join(ROLE_OF)}, or none.")
        return self.encoder.encode([text for item in inputs for text in _texts(item)], ROLE_OF[kind])

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines [n1, n2] of unit vectors [n1, dim] and [n2, dim], as a tensor."""
        first, second = (_tensor(side) for side in (embeddings1, embeddings2))
        return first @ second.T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines [n] of unit vectors [n, dim] row by row, as a tensor."""
        return (_tensor(embeddings1) * _tensor(embeddings2)).sum(dim=-1)

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb 2 files the scores under; needs mteb."""
        from mteb.models.model_meta import ModelMeta, ScoringFunction

        overwrites = {"name": self.name, "revision": self.revision, "similarity_fn_name": ScoringFunction.COSINE}
        return ModelMeta.create_empty(overwrites=overwrites)


def _texts(item: Any) -> list[str]:
    if isinstance(item, str):
        return [item]
    if not isinstance(item, Mapping) or "text" not in item:
        held = ", ".join(item) if isinstance(item, Mapping) else type(item).__name__
        raise EvaluationError(f"a batch of MTEB holds {held}, but no texts; hbt_ray encodes tasks of texts alone.")
    return list(item["text"])


def _tensor(vectors: Any) -> Any:
    import torch

    tensor = torch.as_tensor(np.asarray(vectors), dtype=torch.float32)
    return tensor if tensor.ndim > 1 else tensor[None]
