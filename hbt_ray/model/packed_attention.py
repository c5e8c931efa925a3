"""Attention of packed texts, as an implementation that transformers calls by name.

transformers hands every layer's query, key and value [1, heads, T, head size] to the registered function. With
`blocks` among the arguments (`Encoder.forward_chunk`) the T tokens are texts one after the other, and each attends
to its own text only; without, the call is an ordinary padded one and goes to transformers' own.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from hbt_ray.model.chunks import Block
from hbt_ray.model.dropout import draw_kept

NAME = "hbt_packed"
"""transformers' `attn_implementation`: `sdpa`, and packed texts where they are given."""

# Architectures whose tokens meet each other in attention alone, with positions that can be given from outside.
# ModernBERT's local attention and the relative positions of MPNet or DeBERTa do not.
PACKABLE = ("bert", "roberta", "xlm-roberta", "camembert")


def packs(model: PreTrainedModel) -> bool:
    """Whether `model` was loaded with this implementation and its architecture can take packed texts."""
    config = model.config
    can_pack = config._attn_implementation == NAME and config.model_type in PACKABLE
    return can_pack and not getattr(config, "is_decoder", False)


def position_tables(model: PreTrainedModel) -> list[nn.Embedding]:
    """The model's embeddings of positions; none where it has rotary ones or the like."""
    parts = model.named_modules()
    return [part for name, part in parts if name.endswith("position_embeddings") and isinstance(part, nn.Embedding)]


def first_position(model: PreTrainedModel) -> int:
    """The position of a text's first token: RoBERTa's family counts from behind the padding id, 512 in 514 rows."""
    tables = position_tables(model)
    return tables[0].padding_idx + 1 if tables and tables[0].padding_idx is not None else 0


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    blocks: tuple[Block, ...] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' signature: [1, heads, T, head size] x 3 -> ([1, T, heads, head size], no weights)."""
    if blocks is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if dropout and query.device.type == "cpu":  # the CPU's fused kernel has no dropout
        out: Tensor = _DropoutAttention.apply(query[0], key[0], value[0], blocks, dropout, scale)  # type: ignore[no-untyped-call]
        return out[None], None
    parts = [
        F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale).transpose(1, 2).flatten(0, 1)
        for q, k, v in zip(*(_texts(states[0], blocks) for states in (query, key, value)), strict=True)
    ]
    return torch.cat(parts)[None], None


def _texts(states: Tensor, blocks: tuple[Block, ...]) -> Iterator[Tensor]:
    """[heads, T, head size] -> a [num, heads, length, head size] for each block."""
    for part, (num, length) in zip(torch.split(states, [n * t for n, t in blocks], dim=1), blocks, strict=True):
        yield part.view(len(states), num, length, -1).transpose(0, 1)


class _DropoutAttention(torch.autograd.Function):
    """softmax(q k^T * scale), dropout, times v, for each text; its gradient is written out block by block.

    Autograd over slices would fill a gradient of all tokens with zeros for every block.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, blocks: tuple[Block, ...], p: float, scale: float
    ) -> Tensor:
        heads = len(query)
        kept = draw_kept(heads * sum(num * length * length for num, length in blocks), p)
        out = value.new_empty(value.shape[1], heads, value.shape[2])
        weights: list[Tensor] = []
        done = 0
        parts = zip(*(_texts(states, blocks) for states in (query, key, value)), _rows(out, blocks), strict=True)
        for q, k, v, target in parts:
            scores = torch.matmul(q, k.transpose(-1, -2)).mul_(scale)
            weight = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype)
            keep = kept[done : done + weight.numel()].view(weight.shape)
            done += weight.numel()
            target.copy_(torch.matmul(keep.to(weight.dtype).mul_(weight), v))
            weights.append(weight)
        out.mul_(1 / (1 - p))
        ctx.save_for_backward(query, key, value, kept, *weights)
        ctx.blocks, ctx.p, ctx.scale = blocks, p, scale
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, kept, *weights = ctx.saved_tensors
        blocks: tuple[Block, ...] = ctx.blocks
        gradient = (gradients[0] * (1 / (1 - ctx.p))).transpose(0, 1)
        results = [gradients[0].new_empty(gradients[0].shape) for _ in range(3)]
        ins = zip(*(_texts(states, blocks) for states in (query, key, value, gradient)), strict=True)
        outs = zip(*(_rows(states, blocks) for states in results), strict=True)
        done = 0
        for (q, k, v, g), (to_q, to_k, to_v), weight in zip(ins, outs, weights, strict=True):
            keep = kept[done : done + weight.numel()].view(weight.shape).to(weight.dtype)
            done += weight.numel()
            by_weight = torch.matmul(g, v.transpose(-1, -2)).mul_(keep)
            to_v.copy_(torch.matmul(keep.mul_(weight).transpose(-1, -2), g))
            by_score = torch.ops.aten._softmax_backward_data(by_weight, weight, -1, weight.dtype)
            to_q.copy_(torch.matmul(by_score, k))
            to_k.copy_(torch.matmul(by_score.transpose(-1, -2), q))
        results[0].mul_(ctx.scale)
        results[1].mul_(ctx.scale)
        return *(states.transpose(0, 1) for states in results), None, None, None


def _rows(states: Tensor, blocks: tuple[Block, ...]) -> Iterator[Tensor]:
    """[T, heads, head size] -> views [num, heads, length, head size], to be written to."""
    return _texts(states.transpose(0, 1), blocks)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
