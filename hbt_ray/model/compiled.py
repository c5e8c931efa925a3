"""torch.compile for an encoder: tried on a small chunk, and left where it fails."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
import torch._dynamo

from hbt_ray.errors import one_line
from hbt_ray.model.chunks import make_chunks
from hbt_ray.model.encoder import Encoder


def compile_encoder(
    encoder: Encoder,
    context: Callable[[], AbstractContextManager[object]],
    backend: str | Callable[..., Any] = "inductor",
) -> bool:
    """Compiles the encoder's forward and backward pass for padded chunks of any shape.

    Args:
        encoder: on its device.
        context: autocast, as training runs it.
        backend: as torch.compile takes it.

    Returns:
        Whether it is compiled. Where a small chunk fails, the encoder stays as it was, with one warning.
    """
    backbone: Any = encoder.backbone
    torch._dynamo.reset()  # what an earlier trial of this process compiled counts against the limit of recompilations
    backbone.compile(dynamic=True, backend=backend)
    token = int(encoder.tokenizer.eos_token_id or encoder.tokenizer.sep_token_id or 0)
    values, lengths = np.full(29, token, np.int32), np.array([9, 8, 7, 5])
    pad_id = int(encoder.tokenizer.pad_token_id or 0)
    (chunk,) = make_chunks(values, lengths, token_budget=1000, packed=False, pad_id=pad_id)
    try:
        with context():
            vectors = encoder.forward_chunk(chunk.to(encoder.device))
        torch.autograd.backward([vectors.sum()])
    except Exception as error:  # compilers and backends raise many kinds
        backbone._compiled_call_impl = None
        warnings.warn(f"torch.compile failed and is not used: {one_line(error)}", UserWarning, stacklevel=2)
        return False
    finally:
        encoder.zero_grad(set_to_none=True)
    return True
