"""The two sides of a retriever: one shared encoder reads both, with its own prefix and length for each."""

from typing import Literal

Role = Literal["query", "passage"]
ROLES: tuple[Role, ...] = ("query", "passage")
