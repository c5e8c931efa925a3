"""A worker's slice of a global batch: token ids without padding, and what the loss and the statistics need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import partial

import numpy as np
import pyarrow as pa

SCALARS = {"step": np.int64, "rank": np.int64, "monolingual": np.bool_}


@dataclass(frozen=True)
class Slice:
    """Rows of one step on one rank, n = batch_size / world_size.

    Attributes:
        step, rank: which slice this is.
        monolingual: the step's type, X-X or X-Y.
        items: int64 [n], item of each row (`item_id`).
        weights: float32 [n], weight of each item in the loss.
        query_langs, passage_langs: int16 [n], positions in the corpus's languages.
        query_values, passage_values: int32 [sum of lengths], token ids of all rows after one another.
        query_lengths, passage_lengths: int32 [n].
        passage_hashes: int64 [n], hash of the passage's text.
        groups: int64 [n], label of the item's passage group.
        negative_values: int32 [sum of lengths], hard negatives of all rows, in the language of the passage.
        negative_lengths: int32 [n * k], k for each row; 0 where a row has fewer.
        negative_hashes: int64 [n * k], hash of each one's text.
        negative_groups: int64 [n * k], label of the group that has it as a passage; 0 where none has.
    """

    step: int
    rank: int
    monolingual: bool
    items: np.ndarray
    weights: np.ndarray
    query_langs: np.ndarray
    passage_langs: np.ndarray
    query_values: np.ndarray
    query_lengths: np.ndarray
    passage_values: np.ndarray
    passage_lengths: np.ndarray
    passage_hashes: np.ndarray
    groups: np.ndarray
    negative_values: np.ndarray = field(default_factory=partial(np.zeros, 0, np.int32))
    negative_lengths: np.ndarray = field(default_factory=partial(np.zeros, 0, np.int32))
    negative_hashes: np.ndarray = field(default_factory=partial(np.zeros, 0, np.int64))
    negative_groups: np.ndarray = field(default_factory=partial(np.zeros, 0, np.int64))

    def __len__(self) -> int:
        return len(self.items)


ARRAYS = tuple(field.name for field in fields(Slice) if field.name not in SCALARS)


def to_table(slices: list[Slice]) -> pa.Table:
    """Slices as an Arrow table, one row a slice (the block that Ray Data moves)."""
    columns: dict[str, pa.Array] = {
        name: pa.array(np.array([getattr(part, name) for part in slices], dtype)) for name, dtype in SCALARS.items()
    }
    for name in ARRAYS:
        values = [getattr(part, name) for part in slices]
        offsets = np.r_[0, np.cumsum([len(value) for value in values])].astype(np.int32)
        columns[name] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(values)))
    return pa.table(columns)


def from_table(table: pa.Table) -> Iterator[Slice]:
    """The slices of `to_table`, without copying token ids."""
    table = table.combine_chunks()
    scalars = {name: table[name].to_pylist() for name in SCALARS}
    arrays = {}
    for name in ARRAYS:
        column = table[name].chunk(0) if table.num_rows else pa.array([], table.schema.field(name).type)
        arrays[name] = (column.values.to_numpy(zero_copy_only=False), column.offsets.to_numpy())
    for row in range(table.num_rows):
        parts = {name: values[offsets[row] : offsets[row + 1]] for name, (values, offsets) in arrays.items()}
        yield Slice(**{name: values[row] for name, values in scalars.items()}, **parts)
