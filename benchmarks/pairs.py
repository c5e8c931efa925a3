"""Question-passage pairs to time training on: real English ones, or made-up ones of the same lengths."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from hbt_ray.batches.slices import Slice
from hbt_ray.errors import EvaluationError
from hbt_ray.model.encoder import Encoder

QUERY_TOKENS, PASSAGE_TOKENS = 32, 256
# Logarithms of the lengths of the English part of a corpus of software documentation: mean and deviation.
_QUERY_SHAPE, _PASSAGE_SHAPE = (2.2, 0.4), (3.9, 0.95)


@dataclass(frozen=True)
class Pairs:
    """Token ids of pairs, each text with its special tokens."""

    queries: list[np.ndarray]
    passages: list[np.ndarray]

    def batch(
        self, step: int, size: int, rank: int = 0, world_size: int = 1
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The share that one worker has of the `size` pairs of a step, going round."""
        begin, share = step * size + rank * (size // world_size), size // world_size
        rows = np.arange(begin, begin + share) % len(self.queries)
        return [self.queries[row] for row in rows], [self.passages[row] for row in rows]

    def slice(self, step: int, size: int, rank: int = 0, world_size: int = 1) -> Slice:
        """The same as a worker's slice, ready to be collated."""
        queries, passages = self.batch(step, size, rank, world_size)
        num = len(queries)
        items = np.arange(rank * num, (rank + 1) * num, dtype=np.int64)
        return Slice(
            step=step,
            rank=rank,
            monolingual=True,
            items=items,
            weights=np.ones(num, np.float32),
            query_langs=np.zeros(num, np.int16),
            passage_langs=np.zeros(num, np.int16),
            query_values=np.concatenate(queries).astype(np.int32),
            query_lengths=np.array([len(ids) for ids in queries], np.int32),
            passage_values=np.concatenate(passages).astype(np.int32),
            passage_lengths=np.array([len(ids) for ids in passages], np.int32),
            passage_hashes=items,
            groups=items,
        )


def real_pairs(data: Path, base: str, num: int) -> Pairs:
    """Pairs of the English part of a corpus directory, in an order of their own.

    Raises:
        EvaluationError: there is no `en.parquet`.
    """
    path = data / "en.parquet"
    if not path.is_file():
        raise EvaluationError(f"--data {data}: no en.parquet there; name a corpus with one file a language")
    table = pq.read_table(path, columns=["question", "passage"])
    rows = np.random.default_rng(0).permutation(table.num_rows)[:num]
    encoder = Encoder.load(base, max_query_tokens=QUERY_TOKENS, max_passage_tokens=PASSAGE_TOKENS)
    texts = table.take(rows).to_pydict()
    queries, passages = encoder.tokenize(texts["question"], "query"), encoder.tokenize(texts["passage"], "passage")
    return Pairs([np.asarray(ids, np.int32) for ids in queries], [np.asarray(ids, np.int32) for ids in passages])


def synthetic_pairs(num: int, vocab_size: int) -> Pairs:
    """Random ids in texts of about the lengths of real ones."""
    rng = np.random.default_rng(0)

    def texts(shape: tuple[float, float], most: int) -> list[np.ndarray]:
        lengths = np.clip(rng.lognormal(*shape, num), 4, most).astype(int)
        return [rng.integers(5, vocab_size, length).astype(np.int32) for length in lengths]

    return Pairs(texts(_QUERY_SHAPE, QUERY_TOKENS), texts(_PASSAGE_SHAPE, PASSAGE_TOKENS))


def equal_pairs(num: int, vocab_size: int, length: int) -> Pairs:
    """Random ids in texts of one length."""
    rng = np.random.default_rng(0)
    queries, passages = (rng.integers(5, vocab_size, (num, length)).astype(np.int32) for _ in range(2))
    return Pairs(list(queries), list(passages))
