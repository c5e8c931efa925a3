"""The encoder as evaluation uses it."""

from collections.abc import Sequence
from typing import Protocol

from hbt_ray.arrays import VectorArray
from hbt_ray.model.roles import Role


class TextEncoder(Protocol):
    """Encodes texts: hbt_ray's Encoder, or a stand-in of a few lines."""

    def encode(self, texts: Sequence[str], role: Role) -> VectorArray:
        """[n] texts -> vectors [n, dim], L2-normalised."""
        ...
