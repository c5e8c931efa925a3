"""Rows of the shards by item number: reads the row groups and columns that are asked for, and keeps recent ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.plan import StepPlan
from hbt_ray.batches.slices import Slice
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import CorpusError, one_line
from hbt_ray.storage import open_fs

CACHE_BYTES = 512 << 20
T = TypeVar("T")


Column = tuple[np.ndarray, ...]
"""A decoded column of a row group: its values, and from the inside out the offsets of the lists they lie in."""


class RowReader:
    """Token ids, hashes, groups and weights of items in given languages."""

    def __init__(self, corpus: Corpus, index: ItemIndex, split: str = "train", cache_bytes: int = CACHE_BYTES) -> None:
        self.index = index
        self._corpus = corpus
        self._shards = corpus.manifest.splits[split].shards
        self._file = lru_cache(maxsize=64)(self._open)
        self._columns: OrderedDict[tuple[int, str], Column] = OrderedDict()
        self._bytes, self._cache_bytes = 0, cache_bytes
        self.num_bytes_read = 0
        """Bytes of decoded columns read from the shards so far."""

    def slice(self, plan: StepPlan, rank: int = 0, world_size: int = 1) -> Slice:
        """The rows of a step that `rank` of `world_size` workers trains on."""
        n, left = divmod(len(plan.items), world_size)
        assert left == 0, f"{len(plan.items)} rows cannot be shared out equally among {world_size} workers"
        rows = slice(rank * n, (rank + 1) * n)
        items, query, passage = plan.items[rows], plan.query_langs[rows], plan.passage_langs[rows]
        query_values, query_lengths = self.tokens(items, query, "query")
        passage_values, passage_lengths = self.tokens(items, passage, "passage")
        hard = self.negatives(items, passage)
        return Slice(
            step=plan.step,
            rank=rank,
            monolingual=plan.monolingual,
            items=items,
            weights=self.weights(items),
            query_langs=query,
            passage_langs=passage,
            query_values=query_values,
            query_lengths=query_lengths,
            passage_values=passage_values,
            passage_lengths=passage_lengths,
            passage_hashes=self.hashes(items, passage),
            groups=self.groups(items),
            **hard,
        )

    def tokens(self, items: np.ndarray, langs: np.ndarray, role: str) -> tuple[np.ndarray, np.ndarray]:
        """`(values int32 [sum of lengths], lengths int32 [n])` of each item's text in its language."""
        parts = [values[begin:end] for values, begin, end in self._texts(items, langs, role)]
        lengths = np.fromiter(map(len, parts), np.int32, len(parts))
        return (np.concatenate(parts) if parts else np.zeros(0, np.int32)), lengths

    def hashes(self, items: np.ndarray, langs: np.ndarray) -> np.ndarray:
        """int64 [n]: hash of each item's passage in its language."""
        return np.array([values[row] for (values,), row in self._rows(items, langs, "hash")], np.int64)

    def weights(self, items: np.ndarray) -> np.ndarray:
        """float32 [n]."""
        return np.array([values[row] for (values,), row in self._rows(items, None, "weight")], np.float32)

    def groups(self, items: np.ndarray) -> np.ndarray:
        """int64 [n]: the label of each item's passage group."""
        return np.array([values[row] for (values,), row in self._rows(items, None, "group")], np.int64)

    def negatives(self, items: np.ndarray, langs: np.ndarray) -> dict[str, np.ndarray]:
        """Hard negatives of each item in its language, as a slice holds them; nothing where the corpus keeps none."""
        k = self._corpus.manifest.num_negatives
        lengths = np.zeros((len(items), k), np.int32)
        numbers = {
            "negative_hash": np.zeros((len(items), k), np.int64),
            "negative_group": np.zeros((len(items), k), np.int64),
        }
        parts = [np.zeros(0, np.int32)]
        if k:
            for item, ((values, inner, outer), row) in enumerate(self._rows(items, langs, "negative")):
                offsets = inner[outer[row] : outer[row + 1] + 1]
                parts.append(values[offsets[0] : offsets[-1]])
                lengths[item, : len(offsets) - 1] = np.diff(offsets)
            for name, out in numbers.items():
                for item, (values, begin, end) in enumerate(self._texts(items, langs, name)):
                    out[item, : end - begin] = values[begin:end]
        return {
            "negative_values": np.concatenate(parts),
            "negative_lengths": lengths.ravel(),
            "negative_hashes": numbers["negative_hash"].ravel(),
            "negative_groups": numbers["negative_group"].ravel(),
        }

    def _locate(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        groups = self.index.group_of(items)
        return groups, items - self.index.group_start[groups]

    def _rows(self, items: np.ndarray, langs: np.ndarray | None, prefix: str) -> Iterator[tuple[Column, int]]:
        """Of each item the column `prefix`, or `prefix_<its language>`, and its row there."""
        groups, rows = self._locate(items)
        named = [-1] * len(items) if langs is None else langs.tolist()
        wanted = list(zip(groups.tolist(), named, strict=True))
        # once for each column of the batch, not for each row
        columns = {
            (group, lang): self._column(group, prefix if lang < 0 else f"{prefix}_{self.index.langs[lang]}")
            for group, lang in dict.fromkeys(wanted)
        }
        return zip((columns[key] for key in wanted), rows.tolist(), strict=True)

    def _texts(self, items: np.ndarray, langs: np.ndarray, prefix: str) -> Iterator[tuple[np.ndarray, int, int]]:
        """Of each item the values of a list column, and where the item's begin and end."""
        for (values, offsets), row in self._rows(items, langs, prefix):
            yield values, offsets[row], offsets[row + 1]

    def _column(self, group: int, name: str) -> Column:
        key = (group, name)
        if key in self._columns:
            self._columns.move_to_end(key)
            return self._columns[key]
        table = self._guard(
            int(self.index.group_shard[group]),
            lambda file: file.read_row_group(int(self.index.group_row_group[group]), columns=[name]),
        )
        column, offsets = table[name].combine_chunks(), []
        while pa.types.is_list(column.type):
            offsets.append(column.offsets.to_numpy())
            column = column.values
        decoded = (column.fill_null(0).to_numpy(zero_copy_only=False), *reversed(offsets))
        size = sum(array.nbytes for array in decoded)
        self.num_bytes_read += size
        self._columns[key] = decoded
        self._bytes += size
        while self._bytes > self._cache_bytes and len(self._columns) > 1:
            _, old = self._columns.popitem(last=False)
            self._bytes -= sum(array.nbytes for array in old)
        return decoded

    def _guard(self, shard: int, read: Callable[[Any], T]) -> T:
        try:
            return read(self._file(shard))
        except (OSError, pa.ArrowException) as error:
            name = f"{self._corpus.directory}/{self._shards[shard].name}"
            raise CorpusError(f"{name} cannot be read ({one_line(error)}); prepare again") from None

    def _open(self, shard: int) -> Any:
        fs, root = open_fs(self._corpus.directory)
        return pq.ParquetFile(fs.open(f"{root}/{self._shards[shard].name}"))
