"""How many tokens of a query and of a passage are read."""

from torch import nn
from transformers import PreTrainedModel

from hbt_ray.errors import ConfigError
from hbt_ray.model.layout import Layout
from hbt_ray.model.roles import ROLES, Role

DEFAULT_TOKENS = 512
"""Where a model does not say what it was made for; a model that reads more is told so."""
# Two special tokens, and something between them.
_FEWEST = 4


def resolve_lengths(
    asked: dict[Role, int | None], layout: Layout, tokenizer_length: int, capacity: int
) -> dict[Role, int]:
    """Most tokens a role: as asked, else as saved, else what the model was made for.

    That is sentence-transformers' length where the directory has one, else 512, or what the model can read if less.

    Raises:
        ConfigError: a length below 4 or above `capacity`.
    """
    saved: dict[Role, int | None] = {"query": layout.max_query_tokens, "passage": layout.max_passage_tokens}
    lengths: dict[Role, int] = {}
    for role in ROLES:
        length = asked[role] if asked[role] is not None else saved[role]
        if length is None:
            length = min(layout.max_tokens or DEFAULT_TOKENS, tokenizer_length, capacity)
        if not _FEWEST <= length <= capacity:
            raise ConfigError(
                f"max_{role}_tokens is {length}; allowed is {_FEWEST} to {capacity}, the most the model reads"
            )
        lengths[role] = length
    return lengths


def token_capacity(model: PreTrainedModel) -> int:
    """The most tokens, special tokens included, that the model can read."""
    positions = getattr(model.config, "max_position_embeddings", None)
    capacity = int(positions) if positions and positions > 0 else 10**9  # none, or -1: no limit
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa's family counts positions from the padding index on: 514 rows are 512 tokens.
            taken = 0 if module.padding_idx is None else module.padding_idx + 1
            capacity = min(capacity, module.num_embeddings - taken)
    return capacity
