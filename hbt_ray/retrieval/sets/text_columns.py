"""Columns of many texts: a few bytes a text beyond the text itself, and no Python object for each."""

from collections.abc import Iterator, Sequence
from operator import index
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ROWS_PER_CHUNK = 65_536
BYTES_PER_CHUNK = 2**24
"""Texts become an Arrow chunk when this many rows or bytes are at hand, whichever comes first."""
ROWS_PER_READ = 8192


class TextColumn(Sequence[str]):
    """A read-only sequence of texts over Arrow chunks; a slice is a list of str, and copies only its texts."""

    def __init__(self, chunks: Any) -> None:
        self.chunks = chunks
        """The `pyarrow.ChunkedArray` of large_string."""

    def __len__(self) -> int:
        return len(self.chunks)

    @overload
    def __getitem__(self, key: int) -> str: ...
    @overload
    def __getitem__(self, key: slice) -> list[str]: ...
    def __getitem__(self, key: int | slice) -> str | list[str]:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                return [self[row] for row in range(start, stop, step)]
            texts: list[str] = self.chunks.slice(start, max(stop - start, 0)).to_pylist()
            return texts
        row = index(key)
        if not -len(self) <= row < len(self):
            raise IndexError(f"text {row} of {len(self)}")
        text: str = self.chunks[row % len(self)].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), ROWS_PER_READ):
            yield from self[start : start + ROWS_PER_READ]

    def to_numpy(self) -> NDArray[Any]:
        """The texts as NumPy strings of variable width, [n]: 16 bytes each, and the rest of those above 15."""
        out = np.empty(len(self), dtype=np.dtypes.StringDType())
        for start in range(0, len(self), ROWS_PER_READ):
            out[start : start + ROWS_PER_READ] = self[start : start + ROWS_PER_READ]
        return out


class TextWriter:
    """Takes texts one after the other and gives the column of all so far."""

    def __init__(self) -> None:
        self._chunks: list[Any] = []
        self._open: list[bytes] = []
        self._num_bytes = self._num_closed = 0

    def __len__(self) -> int:
        return self._num_closed + len(self._open)

    def append(self, text: str) -> None:
        data = text.encode()
        self._open.append(data)
        self._num_bytes += len(data)
        if len(self._open) >= ROWS_PER_CHUNK or self._num_bytes >= BYTES_PER_CHUNK:
            self._close_chunk()

    def column(self) -> TextColumn:
        """All texts appended so far."""
        if self._open:
            self._close_chunk()
        return TextColumn(pa.chunked_array(self._chunks, type=pa.large_string()))

    def _close_chunk(self) -> None:
        # Buffers of the exact size: those that pa.array grows text by text keep up to half as much again.
        ends = np.cumsum([0, *map(len, self._open)], dtype=np.int64)
        buffers = pa.py_buffer(ends), pa.py_buffer(b"".join(self._open))
        self._chunks.append(pa.LargeStringArray.from_buffers(len(self._open), *buffers))
        self._num_closed += len(self._open)
        self._open, self._num_bytes = [], 0
