"""What a cell is, whatever file it is in: as a text, an id, a language code or a list of texts.

A text stays as it is; a number that is whole is written without a fraction, so that an id is the same as int, float
or text; NaN and null are missing; bytes are UTF-8; a label of a class is its name.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hbt_ray.errors import CorpusError
from hbt_ray.languages import canonical_lang

TEXTS = pa.list_(pa.string())
WHOLE = r"^(-?[0-9]+)\.0$"
"""An id that was a whole number, as pandas writes it where its column lacks a value."""


def text_of(value: object) -> str | None:
    """The text of one value; None where it is missing. UnicodeDecodeError for bytes that are no UTF-8."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float | Decimal):
        if math.isnan(value):
            return None
        return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)
    return str(value)


def id_of(value: object) -> str:
    """The id that a value is; empty where it is missing."""
    return re.sub(WHOLE, r"\1", (text_of(value) or "").strip())


def list_of(value: Any) -> list[str] | None:
    """The texts of a list, of a text that is one in JSON, or of one text; None where the value is missing.

    Raises:
        ValueError: a text that begins as a list but is none in JSON, or something that is no text is in the list.
    """
    if isinstance(value, str) and value.strip()[:1] == "[":
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f'{value[:60]!r} is no list in JSON; write it as ["one text", "another"]') from None
    if not isinstance(value, list):
        text = text_of(value)
        return [text] if text and text.strip() else None
    if any(isinstance(part, list | dict) for part in value):
        raise ValueError(f"{str(value)[:60]!r} holds more than texts; a list of texts is needed")
    return [text for part in value if (text := text_of(part)) is not None]


def lang_if_known(code: str) -> tuple[str, bool]:
    """The canonical code and True, or `code` as it is and False."""
    try:
        return canonical_lang(code), True
    except CorpusError:
        return code, False


def as_texts(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """string [n]: `text_of` each value, without blanks around it. ArrowInvalid for bytes that are no UTF-8."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # older releases keep a column without chunks as one
        array = pa.concat_arrays(array.chunks) if array.chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary())
    kind = array.type
    plain = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_null)
    if any(is_kind(kind) for is_kind in (*plain, pa.types.is_binary, pa.types.is_large_binary)):
        texts = array.cast(pa.string())
    else:
        texts = pa.array([text_of(value) for value in array.to_pylist()], pa.string())
    return pc.utf8_trim_whitespace(texts)


def as_ids(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """string [n]: `id_of` each value; null where it is missing."""
    return pc.replace_substring_regex(as_texts(column), WHOLE, r"\1")


def as_langs(column: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """string [n], bool [n]: canonical language codes, and whether each is known; an unknown one stays as it is."""
    encoded = pc.fill_null(as_texts(column), "").dictionary_encode()
    codes = [lang_if_known(code) for code in encoded.dictionary.to_pylist()]
    known = np.array([is_known for _, is_known in codes], bool)[encoded.indices.to_numpy()]
    return pa.array([code for code, _ in codes], pa.string()).take(encoded.indices), known


def as_lists(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """list<string> [n]: `list_of` each value. ValueError as there."""
    return pa.array([list_of(value) for value in column.to_pylist()], TEXTS)


def named_labels(table: pa.Table) -> pa.Table:
    """`table` with the names in place of the numbers of classes, where the file says that a column has classes.

    `datasets` writes its features into the schema, in its own files and in Parquet.
    """
    features: Any = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {})
    for column, feature in features.get("features", {}).items():
        if column not in table.column_names or feature.get("_type") != "ClassLabel" or not feature.get("names"):
            continue
        numbers = table[column].combine_chunks()
        if pa.types.is_integer(numbers.type):
            known = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, len(feature["names"])))
            names = pa.array(feature["names"], pa.string()).take(pc.if_else(known, numbers, None))
            table = table.set_column(table.column_names.index(column), column, names)
    return table
