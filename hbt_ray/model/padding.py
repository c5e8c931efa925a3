"""Ragged token rows <-> rectangles: padding, and cutting rows into chunks that waste little of it (NumPy)."""

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]


def pad_ragged(values: IntArray, lengths: IntArray, pad_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pads rows that lie one after the other in one flat array, on the right.

    Args:
        values: [sum of lengths] token ids, row after row.
        lengths: [n] tokens in each row.
        pad_id: the id put behind the rows.

    Returns:
        ids [n, t] and mask [n, t] (1 = token, 0 = padding), int64 as Hugging Face models take them,
        with t the longest row.

    Raises:
        ValueError: the lengths do not add up to the number of values.
    """
    if int(lengths.sum()) != len(values):
        raise ValueError(f"lengths add up to {int(lengths.sum())} tokens, but there are {len(values)} values")
    width = int(lengths.max()) if len(lengths) else 0
    filled = np.arange(width) < lengths[:, None]
    ids = np.full(filled.shape, pad_id, dtype=np.int64)
    # Boolean assignment walks row by row, the order in which the values lie.
    ids[filled] = values
    return ids, filled.astype(np.int64)


def chunk_by_tokens(lengths: IntArray, token_budget: int) -> list[npt.NDArray[np.int64]]:
    """Cuts rows, sorted by length, into chunks whose padded rectangle fits a budget.

    Longest first: a device that runs out of memory does so in the first chunk, not after an hour.
    A row longer than the whole budget forms a chunk of its own.

    Args:
        lengths: [n] tokens in each row.
        token_budget: most padded tokens (rows x longest row) in a chunk, at least 1.

    Returns:
        Index arrays that together name every row exactly once.
    """
    if token_budget < 1:
        raise ValueError(f"token_budget is {token_budget}; it must be at least 1 padded token")
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    chunks: list[npt.NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        stop = start + max(token_budget // longest, 1)
        chunks.append(order[start:stop])
        start = stop
    return chunks
