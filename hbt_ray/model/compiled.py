"""torch.compile for an encoder: tried on a small chunk first, and what came of it said in words."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch._dynamo

from hbt_ray.errors import one_line
from hbt_ray.model.chunks import make_chunks
from hbt_ray.model.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """Whether the encoder is compiled, and what is to be known about it."""

    used: bool
    reason: str
    """One sentence for the log and the tracked run."""


def compile_encoder(
    encoder: Encoder,
    context: Callable[[], AbstractContextManager[object]],
    backend: str | Callable[..., Any] = "inductor",
) -> Compiled:
    """Compiles the encoder's forward and backward pass for padded chunks of any shape.

    It is tried on two small chunks; where that fails the encoder stays as it was, with one warning.

    Args:
        encoder: on its device.
        context: autocast, as training runs it.
        backend: as torch.compile takes it.
    """
    backbone: Any = encoder.backbone
    torch._dynamo.reset()  # what an earlier trial of this process compiled counts against the limit of recompilations
    torch._dynamo.utils.counters.clear()
    backbone.compile(dynamic=True, backend=backend)
    try:
        for lengths in ((9, 8, 7, 5), (13, 12, 3)):
            _try(encoder, np.array(lengths), context)
    except Exception as error:  # compilers and backends raise many kinds
        backbone._compiled_call_impl = None
        reason = f"torch.compile failed and is not used: {one_line(error)}"
        warnings.warn(reason, UserWarning, stacklevel=2)
        return Compiled(used=False, reason=reason)
    finally:
        encoder.zero_grad(set_to_none=True)
    breaks = sum(torch._dynamo.utils.counters["graph_break"].values())
    if not breaks:
        return Compiled(used=True, reason="the encoder is compiled as one graph")
    reason = f"torch.compile falls back to Python at {breaks} places of the encoder"
    warnings.warn(reason, UserWarning, stacklevel=2)
    return Compiled(used=True, reason=reason)


def _try(encoder: Encoder, lengths: np.ndarray, context: Callable[[], AbstractContextManager[object]]) -> None:
    token = int(encoder.tokenizer.eos_token_id or encoder.tokenizer.sep_token_id or 0)
    values = np.full(int(lengths.sum()), token, np.int32)
    pad_id = int(encoder.tokenizer.pad_token_id or 0)
    (chunk,) = make_chunks(values, lengths, token_budget=1000, packed=False, pad_id=pad_id)
    with context():
        vectors = encoder.forward_chunk(chunk.to(encoder.device))
    torch.autograd.backward([vectors.sum()])
