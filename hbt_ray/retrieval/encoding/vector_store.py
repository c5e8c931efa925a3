"""Vectors of texts kept on disk, so that a model that was evaluated once is not run on the same texts again.

A store is a directory of one model (`EncoderSpec.fingerprint`) with blocks that are only ever added: `.npz` files of
keys (a hash of 128 bits a text) and vectors. A block is written whole or not at all, so a killed run loses the block
it was at, and any number of processes may write at the same time.
"""

import hashlib
import time
import uuid
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hbt_ray.arrays import IntArray, VectorArray, vector_array
from hbt_ray.errors import EvaluationError
from hbt_ray.finished import FinishedFiles
from hbt_ray.model.roles import Role

BLOCK = 2048
"""Texts encoded and stored at a time: what a killed run loses, and 3 MB of vectors of dimension 384."""
KEY_BYTES, SUFFIX = 16, ".npz"
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, OverflowError, RuntimeError, ValueError)
"""Errors of reading a file whose bytes were changed or cut off; zipfile seeks where they say, hence OSError."""

KeyArray = NDArray[np.bytes_]
"""Hashes of texts, [n], dtype S16."""
TextProgress = Callable[[int, int], object]
"""Called with (texts done, texts in all)."""
EncodeBlocks = Callable[[list[IntArray]], Iterable[tuple[IntArray, VectorArray]]]
"""Blocks of rows -> (rows, their vectors), each block once, in any order."""


class TextEncoder(Protocol):
    """Encodes texts: hbt_ray's Encoder, or a stand-in of a few lines."""

    def encode(self, texts: Sequence[str], role: Role) -> VectorArray:
        """[n] texts -> vectors [n, dim], L2-normalised."""
        ...


class VectorStore:
    """The stored vectors of one model; `directory` is shared by all models, and by all processes that see it."""

    def __init__(self, directory: str | Path, fingerprint: str, dim: int) -> None:
        """Opens or makes the store; EvaluationError where `directory` is a URL.

        Args:
            directory: a local or shared directory.
            fingerprint: of the model, see `EncoderSpec.fingerprint`.
            dim: length of its vectors.
        """
        if "://" in str(directory):
            raise EvaluationError(f"vector store {str(directory)!r} is a URL; give a directory of this machine.")
        self.directory = Path(directory) / fingerprint
        self._files = FinishedFiles(str(self.directory), SUFFIX)
        self.dim = dim
        self._blocks: dict[str, KeyArray] = {}
        self._index: _Index | None = None

    def __len__(self) -> int:
        """Different texts that have a vector."""
        self._refresh()
        return len(np.unique(np.concatenate(list(self._blocks.values())))) if self._blocks else 0

    def lookup(self, texts: Sequence[str]) -> tuple[VectorArray, IntArray]:
        """(vectors [n, dim], rows that are missing [m]); the vector of a missing row is zero.

        A damaged block is named in a warning, put aside as `.damaged`, and counts as missing.
        """
        keys = text_keys(texts)
        vectors = np.zeros((len(keys), self.dim), dtype=np.float32)
        missing = np.ones(len(keys), dtype=bool)
        self._refresh()
        rows = np.arange(len(keys))
        while len(rows):
            index = self._index = self._index or _Index.of(self._blocks)
            block, place = index.find(keys[rows])
            known = block >= 0
            rows, block, place = rows[known], block[known], place[known]
            order = np.argsort(block, kind="stable")
            damaged = [rows[:0]]
            for here in np.split(order, np.flatnonzero(np.diff(block[order])) + 1) if len(order) else ():
                stored = self._read(index.names[block[here[0]]])
                if stored is None:
                    damaged.append(rows[here])  # another block may have them too
                    continue
                vectors[rows[here]] = stored[place[here]]
                missing[rows[here]] = False
            rows = np.concatenate(damaged)
        return vectors, np.flatnonzero(missing)

    def add(self, texts: Sequence[str], vectors: NDArray[Any]) -> None:
        """Stores `vectors` [n, dim] of `texts` [n] as one block.

        Raises:
            EvaluationError: shapes that do not fit, NaN vectors, or a directory that cannot be written.
        """
        vectors = vector_array("vectors to store", vectors, len(texts))
        if vectors.shape[1] != self.dim:
            raise EvaluationError(
                f"{self.directory} holds vectors of dimension {self.dim}, these have {vectors.shape[1]}; "
                "open the store with the fingerprint and dimension of the model."
            )
        keys = text_keys(texts)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}{SUFFIX}"
        block = BytesIO()
        np.savez(block, keys=keys, vectors=vectors)
        try:
            self._files.write(name, block.getvalue())
        except OSError as error:
            raise EvaluationError(
                f"vector store {self.directory} cannot be written ({error.strerror}); "
                "free space there, or give another directory."
            ) from error
        self._blocks[name] = keys
        self._index = None

    def _refresh(self) -> None:
        """Takes note of blocks that were written since, by whomever."""
        fresh = [name for name in self._files.names() if name not in self._blocks]
        if fresh:
            self._index = None
        for name in fresh:
            keys = self._member(name, "keys")
            if keys is not None:
                self._blocks[name] = keys

    def _read(self, name: str) -> VectorArray | None:
        vectors = self._member(name, "vectors")
        if vectors is not None and len(vectors) != len(self._blocks[name]):
            self._put_aside(name, f"{len(self._blocks[name])} keys and {len(vectors)} vectors")
            return None
        return vectors

    def _member(self, name: str, what: str) -> NDArray[Any] | None:
        """One array of a block, whose checksum was compared before anything was made of its bytes."""
        path = self.directory / name
        try:
            with zipfile.ZipFile(path) as block:
                data = BytesIO(block.read(f"{what}.npy"))
            array: NDArray[Any] = np.lib.format.read_array(data, allow_pickle=False)
        except PermissionError as error:
            raise EvaluationError(f"{path} cannot be read ({error.strerror}); give its owner's rights.") from error
        except _DAMAGE as error:
            self._put_aside(name, str(error) or type(error).__name__)
            return None
        if what == "vectors" and array.shape[1:] != (self.dim,):
            raise EvaluationError(
                f"{path} holds vectors of shape {array.shape}, the store was opened for dimension {self.dim}; "
                "open it with the fingerprint and dimension of one model."
            )
        return array

    def _put_aside(self, name: str, reason: str) -> None:
        path = self.directory / name
        reason = " ".join(reason.split())
        warnings.warn(f"{path} is damaged ({reason}): its texts are encoded again", stacklevel=4)
        self._blocks.pop(name, None)
        self._index = None
        with suppress(OSError):  # gone, or a store that may only be read: then the warning comes again
            path.replace(path.with_suffix(".damaged"))


def text_keys(texts: Sequence[str]) -> KeyArray:
    """128-bit hashes [n] of texts, the same on every machine."""
    hashes = [hashlib.blake2b(_utf8(text), digest_size=KEY_BYTES).digest() for text in texts]
    return np.frombuffer(b"".join(hashes), dtype=f"S{KEY_BYTES}")


def encode_cached(
    encoder: TextEncoder,
    texts: Sequence[str],
    role: Role,
    store: VectorStore,
    progress: TextProgress | None = None,
    block: int = BLOCK,
) -> VectorArray:
    """Vectors [n, dim] of texts, in their order; only texts that `store` lacks are encoded, equal ones once.

    They go to the encoder in blocks, longest first over the whole set, and each block is stored when it is done:
    the same call after an interruption goes on where the first one stopped.

    Args:
        encoder: what encodes.
        texts: any number, also none.
        role: as which they are read; the store's fingerprint must be of that role.
        store: is read first, and added to.
        progress: called at the start and after each block.
        block: texts at a time.

    Raises:
        EvaluationError: a vector is NaN or infinite, or the store cannot be read or written.
    """

    def encode_blocks(blocks: list[IntArray]) -> Iterator[tuple[IntArray, VectorArray]]:
        for rows in blocks:
            yield rows, encoder.encode([texts[row] for row in rows], role)

    return fill_store(texts, store, encode_blocks, progress, block)


def fill_store(
    texts: Sequence[str], store: VectorStore, encode_blocks: EncodeBlocks, progress: TextProgress | None, block: int
) -> VectorArray:
    """`encode_cached` with any way of encoding blocks; see there."""
    if block < 1:
        raise EvaluationError(f"block is {block} texts; it must be 1 or more.")
    vectors, missing = store.lookup(texts)
    if progress is not None:
        progress(len(texts) - len(missing), len(texts))
    if not len(missing):
        return vectors
    _, first, inverse, counts = np.unique(
        text_keys([texts[row] for row in missing]), return_index=True, return_inverse=True, return_counts=True
    )
    times = dict(zip(missing[first].tolist(), counts.tolist(), strict=True))
    # Bytes tell tokens better than characters do: a Chinese one has three bytes, and is about one token.
    lengths = np.array([len(_utf8(texts[row])) for row in missing[first]])
    order = missing[first][np.argsort(-lengths, kind="stable")]
    done = len(texts) - len(missing)
    for rows, encoded in encode_blocks([order[start : start + block] for start in range(0, len(order), block)]):
        encoded = vector_array(f"vectors of {len(rows)} texts from text {rows[0]} on", encoded, len(rows))
        store.add([texts[row] for row in rows], encoded)
        vectors[rows] = encoded
        done += sum(times[row] for row in rows.tolist())
        if progress is not None:
            progress(done, len(texts))
    again = np.flatnonzero(first[inverse] != np.arange(len(missing)))
    vectors[missing[again]] = vectors[missing[first[inverse[again]]]]
    return vectors


class _Index(NamedTuple):
    """Where the vector of a key lies: keys of all blocks by their first 64 bits, those that agree by age."""

    names: list[str]
    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    block: IntArray
    place: IntArray

    @classmethod
    def of(cls, blocks: dict[str, KeyArray]) -> "_Index":
        names = sorted(blocks)
        sizes = [len(blocks[name]) for name in names]
        halves = _halves(np.concatenate([np.empty(0, dtype=f"S{KEY_BYTES}"), *(blocks[name] for name in names)]))
        order = np.argsort(halves[:, 0], kind="stable")
        block = np.repeat(np.arange(len(names)), sizes)
        place = np.arange(len(block)) - np.repeat(np.cumsum([0, *sizes])[:-1], sizes)
        return cls(names, halves[order, 0], halves[order, 1], block[order], place[order])

    def find(self, keys: KeyArray) -> tuple[IntArray, IntArray]:
        """(block, row in it) of each key; block -1 where there is none."""
        halves = _halves(keys)
        block, place = np.full((2, len(keys)), -1)
        row = np.searchsorted(self.high, halves[:, 0])
        rest = np.arange(len(keys))
        while len(rest):  # once, unless two texts agree in their first 64 bits
            rest = rest[row[rest] < len(self.high)]
            rest = rest[self.high[row[rest]] == halves[rest, 0]]
            same = self.low[row[rest]] == halves[rest, 1]
            here = rest[same]
            block[here], place[here] = self.block[row[here]], self.place[row[here]]
            rest = rest[~same]
            row[rest] += 1
        return block, place


def _halves(keys: KeyArray) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys).view("<u8").reshape(-1, 2)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
