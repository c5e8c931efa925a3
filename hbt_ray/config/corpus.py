"""What is learned from, and how it is tokenised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from hbt_ray.config.checks import ShareBelowOne, Text, section


@section("corpus")
@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """What is learned from, and how it is tokenised."""

    input: Text = "sample"
    """`sample` (built in), a directory, file or glob of Parquet, JSONL or CSV in long form, a `datasets` directory, or
    `source:NAME` (a public set); several with commas between them. See `hbt_ray.corpus.inputs`."""
    langs: tuple[str, ...] = ()
    """Language codes (BCP-47) to keep; empty keeps all."""
    dev_ids: str = ""
    """File with one item id per line, or several by commas: the dev items, kept out of training; empty: `dev_ids.txt`
    beside the input, or `dev_share`."""
    dev_share: ShareBelowOne = 0.05
    """Share of items (by a hash of their id) kept for dev when there is no `dev_ids`; 0 keeps none."""
    bad_rows: Literal["error", "skip"] = "error"
    """What to do with unusable rows: stop with a clear line, or leave them out and report the counts."""
    query_prefix: str = ""
    """Put before every question ahead of tokenising, e.g. `"Query: "` (the paper)."""
    passage_prefix: str = ""
    """Put before every passage ahead of tokenising, e.g. `"Passage: "` (the paper)."""
    max_query_tokens: Annotated[int, Field(ge=4)] = 32
    """Questions are cut to this many tokens, special tokens included."""
    max_passage_tokens: Annotated[int, Field(ge=4)] = 256
    """Passages are cut to this many tokens, special tokens included."""
    num_negatives: NonNegativeInt = 0
    """Hard negatives of each row that are kept and trained against, from the first of its `negatives`; 0: none."""
