"""Gradient caching (arXiv 2101.06983): a batch as large as the method wants in the memory of a chunk.

The loss needs every vector of the batch, the encoder's backward pass needs the activations of one chunk at a time.
So the chunks are encoded without a graph, the loss gives the gradient of every vector, and each chunk is encoded
again, from the same random numbers, and run backward from the gradient of its own vectors. The result is the gradient
of the whole batch. As many chunks as memory holds keep their graph and are not encoded again.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

Encode = Callable[[int], Tensor]
"""Number of a chunk -> its vectors [k, d]; the same vectors whenever it is called in a step."""


def num_recomputed(sizes: Sequence[int], kept_tokens: int) -> int:
    """How many of the first chunks are encoded twice, so that activations of `kept_tokens` are there at once.

    Where some are, one of them is there beside the chunks that are kept.

    Args:
        sizes: tokens of each chunk.
        kept_tokens: tokens whose activations may be kept.
    """
    if sum(sizes) <= kept_tokens or len(sizes) == 1:
        return 0
    room, kept = kept_tokens - max(sizes), 0
    for number in range(len(sizes) - 1, -1, -1):
        kept += sizes[number]
        if kept > room:
            return number + 1
    return 0


class GradCache:
    """The vectors of a step's chunks, and the way back from their gradients to the encoder's.

    Attributes:
        vectors: float32 [n, d], in the order of the texts; detached. Once the loss is known, its gradients may be
            written over them: the backward pass does not read them.
    """

    def __init__(
        self,
        encode: Encode,
        rows: Sequence[Tensor],
        vectors: Tensor,
        recomputed: int,
        context: Callable[[], AbstractContextManager[object]],
    ) -> None:
        """Encodes all chunks.

        Args:
            encode: of a chunk by its number.
            rows: int64 [k] of each chunk, which texts it holds; together each text once.
            vectors: float32 [n, d], where the vectors go.
            recomputed: chunks from the first on that do not keep their graph; it may be all.
            context: autocast of a pass. Each pass has its own: autocast keeps the weights that it has cast, and
                those of a pass without a graph have none.
        """
        self.vectors = vectors
        self._encode, self._rows, self._recomputed, self._context = encode, rows, recomputed, context
        self._kept: list[Tensor] = []
        with torch.no_grad(), context():
            for number in range(recomputed):
                vectors[rows[number]] = encode(number)
        with context():
            for number in range(recomputed, len(rows)):
                self._kept.append(encode(number))
                vectors[rows[number]] = self._kept[-1].detach()

    def backward(self, gradients: Tensor) -> None:
        """Adds the recomputed chunks' share to the encoder's gradients; `gradients` [n, d] of the vectors.

        All but the last chunk's: the pass over that one is the step's ordinary backward pass.
        """
        with self._context():
            for number in range(min(self._recomputed, len(self._rows) - 1)):
                vectors = self._encode(number)
                with torch.autocast(vectors.device.type, enabled=False):
                    torch.autograd.backward([vectors], [gradients[self._rows[number]]])

    def surrogate(self, gradients: Tensor) -> Tensor:
        """A scalar whose backward pass adds the other chunks' share."""
        if not self._kept:
            with self._context():
                self._kept.append(self._encode(len(self._rows) - 1))
        rows = self._rows[len(self._rows) - len(self._kept) :]
        parts = [(vectors * gradients[texts]).sum() for vectors, texts in zip(self._kept, rows, strict=True)]
        return torch.stack(parts).sum()
