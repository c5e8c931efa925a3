"""A prepared corpus on disk: the manifest, written last, is what makes a directory a corpus.

    manifest.json           this schema; absent until everything else is whole
    train-00003-<run>.parquet   shards (hbt_ray.corpus.shards), `dev-...` for the dev items
    train-coverage-<run>.npy    packed bits [num_items, ceil(num_langs / 8)]: which item has which language

Reading needs neither Ray nor torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, TypeAdapter

from hbt_ray.errors import CorpusError, one_line
from hbt_ray.storage import open_fs, write_whole

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class FileInfo:
    """A file of the corpus, by its name in the directory."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class ShardInfo(FileInfo):
    """A shard with the (source, number of items) of each of its row groups, in order."""

    row_groups: tuple[tuple[str, int], ...]

    @property
    def num_items(self) -> int:
        return sum(num for _, num in self.row_groups)


def write_file(directory: str, stem: str, suffix: str, data: bytes) -> FileInfo:
    """Write a file of the corpus; a part of its name is of its content, so that no two jobs ever write the same."""
    digest = hashlib.sha256(data).hexdigest()
    info = FileInfo(f"{stem}-{digest[:8]}{suffix}", len(data), digest)
    write_whole(f"{directory}/{info.name}", data)
    return info


@dataclass(frozen=True)
class Split:
    """`train` or `dev`."""

    shards: tuple[ShardInfo, ...]
    coverage: FileInfo
    items_per_lang: dict[str, int]

    @property
    def num_items(self) -> int:
        return sum(shard.num_items for shard in self.shards)

    @property
    def num_rows(self) -> int:
        """Items counted once in each of their languages."""
        return sum(self.items_per_lang.values())


@dataclass(frozen=True)
class GroupCounts:
    """Items that share passages (`hbt_ray.corpus.passages`)."""

    num_groups: int = 0
    """Groups of two items or more."""
    num_items: int = 0
    """Items in them."""
    largest: int = 0
    """Items of the largest group, and the id of one."""
    largest_id: str = ""
    num_boilerplate: int = 0
    """Texts that too many items have for them to be a group."""
    most_shared: int = 0
    """Items that have the most frequent text, and the id of one where it is boilerplate."""
    most_shared_id: str = ""
    num_dev_moved: int = 0
    """Items that are dev only because they share a passage with one that `corpus.dev_ids` names."""


@dataclass(frozen=True)
class Manifest:
    """Contents and origin of a prepared corpus, and the rows that were left out."""

    fingerprint: str
    """Identifies input, tokenizer and settings; equal means nothing is to be done."""
    made_from: dict[str, str]
    """Parts of the fingerprint by name, to say what changed."""
    settings: dict[str, Any]
    """Input location, base model, prefixes, lengths and the rest, for people."""
    langs: tuple[str, ...]
    splits: dict[str, Split]
    skipped: dict[str, int]
    """Reason -> rows left out."""
    ignored_files: tuple[str, ...]
    tokens: dict[str, dict[str, dict[str, float]]]
    """Language -> `query`/`passage` -> mean, p50, p95, max (tokens) and cut (share at the length limit)."""
    num_negatives: int = 0
    """Hard negatives that a row has at most."""
    groups: GroupCounts = field(default_factory=GroupCounts)
    """Items that are never each other's negatives, and are in the same split."""
    schema_version: Literal[2] = 2
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def to_json(self) -> str:
        """As written to `manifest.json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)

    @staticmethod
    def from_json(text: bytes | str) -> Manifest:
        """Inverse of `to_json`; ValueError where `text` is something else, or of another `schema_version`."""
        return TypeAdapter(Manifest).validate_json(text)


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus: its directory (local or URL) and manifest."""

    directory: str
    manifest: Manifest = field(repr=False)

    @staticmethod
    def open(directory: str) -> Corpus:
        """Read the manifest and check that every file is there with its size.

        Raises:
            CorpusError: not a prepared corpus, written by another version, or files missing or of another size.
        """
        fs, root = open_fs(directory)
        if not fs.exists(f"{root}/{MANIFEST}"):
            raise CorpusError(f"{directory} is not a prepared corpus (no {MANIFEST}); make one with jobs/prepare.py")
        try:
            manifest = Manifest.from_json(fs.cat_file(f"{root}/{MANIFEST}"))
        except ValueError as error:
            raise CorpusError(
                f"{directory}/{MANIFEST} cannot be read ({one_line(error)}); run jobs/prepare.py again"
            ) from None
        corpus = Corpus(directory, manifest)
        sizes = {info["name"].rsplit("/", 1)[-1]: info["size"] for info in fs.ls(root, detail=True)}
        for file in corpus.files:
            if sizes.get(file.name) != file.num_bytes:
                raise corpus._mismatch(file, f"{sizes.get(file.name, 'no')} bytes, the manifest says {file.num_bytes}")
        return corpus

    @property
    def files(self) -> list[FileInfo]:
        """Every file that the manifest names."""
        splits = self.manifest.splits.values()
        return [file for split in splits for file in (*split.shards, split.coverage)]

    def verify(self) -> None:
        """Compare every file with its checksum; CorpusError names the first that differs."""
        fs, root = open_fs(self.directory)
        for file in self.files:
            with fs.open(f"{root}/{file.name}", "rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
            if digest != file.sha256:
                raise self._mismatch(file, "its checksum is not the manifest's")

    def _mismatch(self, file: FileInfo, difference: str) -> CorpusError:
        return CorpusError(
            f"{self.directory}/{file.name} does not match the manifest: {difference}; "
            f"remove {self.directory} and run jobs/prepare.py again"
        )

    def packed_coverage(self, split: str) -> np.ndarray:
        """uint8 [num_items, ceil(num_langs / 8)]: whether an item has language l of the manifest is bit l."""
        fs, root = open_fs(self.directory)
        data = fs.cat_file(f"{root}/{self.manifest.splits[split].coverage.name}")
        packed: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
        return packed
