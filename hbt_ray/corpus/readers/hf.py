"""Long-form rows in a directory that `datasets` has saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from fsspec import AbstractFileSystem

from hbt_ray.corpus.readers import units
from hbt_ray.corpus.readers.units import REQUIRED, Columns, Unit, check_columns, file_columns, row_units, take_columns
from hbt_ray.errors import CorpusError, one_line


def hf_units(root: str, location: str, mapping: Columns) -> tuple[list[str], list[Unit]]:
    """Files and units of a `datasets` directory; of a `DatasetDict` the split `train` is taken."""
    dataset = load_hf(root)
    columns = check_columns(root, dataset.column_names, dataset.features.arrow_schema, mapping)
    if isinstance(columns, str):
        raise CorpusError(f"corpus.input={location!r} {columns}; required: {', '.join(REQUIRED)}")
    files = [file["filename"] for file in dataset.cache_files]
    return files, row_units("hf", root, dataset.num_rows, units.ROWS_A_UNIT, columns)


def read_hf(unit: Unit) -> Iterator[pa.Table]:
    """Tables of at most `BATCH_ROWS` rows."""
    dataset = load_hf(unit.path).select_columns(file_columns(unit.columns)).with_format("arrow")
    for start in range(unit.start, unit.stop, units.BATCH_ROWS):
        stop = min(start + units.BATCH_ROWS, unit.stop)
        yield take_columns(dataset[start:stop], unit, start, stop - start)


def is_hf(fs: AbstractFileSystem, root: str) -> bool:
    """Whether a directory was saved by `datasets`."""
    return any(fs.exists(f"{root}/{name}") for name in ("state.json", "dataset_dict.json"))


def load_hf(root: str, split: str = "train") -> Any:
    """The data set in a directory; of several splits the one named.

    Raises:
        CorpusError: it is damaged, or has no such split.
    """
    import datasets

    try:
        loaded = datasets.load_from_disk(root)
    except Exception as error:  # the library raises many kinds for a damaged directory
        raise CorpusError(f"{root}: not a whole `datasets` directory ({one_line(error)})") from None
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise CorpusError(f"{root}: has splits {', '.join(loaded)} but no `{split}`; name one split's directory")
        loaded = loaded[split]
    return loaded
