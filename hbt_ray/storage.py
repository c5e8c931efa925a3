"""Files wherever they are: local paths and URLs through fsspec, small files written whole or not at all."""

from __future__ import annotations

import json
import secrets
from typing import Any

import fsspec

from hbt_ray.errors import ConfigError


def open_fs(location: str) -> tuple[Any, str]:
    """File system and path of `location`.

    Raises:
        ConfigError: the protocol of a URL is unknown, or its package is not installed.
    """
    try:
        fs, path = fsspec.core.url_to_fs(location)
    except (ImportError, ValueError) as error:
        hint = "; pip install 'hbt-ray[s3]'" if location.startswith("s3://") else ""
        raise ConfigError(f"{location!r} cannot be opened: {error}{hint}") from None
    return fs, path


def is_local(fs: Any) -> bool:
    """Whether a file system is this machine's own."""
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,))


def read_json(location: str) -> dict[str, Any] | None:
    """The JSON object at `location`; None where there is none, or one that was cut off."""
    fs, path = open_fs(location)
    if not fs.exists(path):
        return None
    try:
        tree = json.loads(fs.cat_file(path))
    except ValueError:
        return None
    return tree if isinstance(tree, dict) else None


def write_json(location: str, tree: dict[str, Any]) -> None:
    """Write a JSON object as `write_whole` does."""
    write_whole(location, json.dumps(tree, indent=1, ensure_ascii=False).encode())


def write_whole(location: str, data: bytes) -> None:
    """Write a file so that a reader finds the old one, or the new one whole."""
    fs, path = open_fs(location)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    fs.pipe_file(f"{path}.part", data)
    fs.mv(f"{path}.part", path)


def claim_id(location: str) -> str:
    """A random id kept at `location`, made at the first call."""
    known = read_json(location)
    if known is None:
        known = {"id": secrets.token_hex(4)}
        write_json(location, known)
    return str(known["id"])
