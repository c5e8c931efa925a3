"""Recipes from YAML files, command-line overrides and trial configurations."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from hbt_ray.config import Recipe
from hbt_ray.errors import ConfigError, one_line

SECTIONS = frozenset(field.name for field in dataclasses.fields(Recipe) if field.name not in ("name", "workspace"))


MAPPINGS = (
    *("tune.space", "tune.arms", "tune.weights", "tune.guards", "tune.traffic"),
    *("plan.source_weights", "model.losses"),
)
"""Fields that hold a mapping: `tune.space.plan.alpha=[0.2, 0.8]` sets its key `plan.alpha`, and leaves the others."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `3e-5` as a string; people mean a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a YAML recipe and apply `section.field=value` overrides (values in YAML syntax).

    Raises:
        ConfigError: the file is missing or not YAML, or a field is unknown, of a wrong type or out of range.
    """
    path = Path(path)
    try:
        tree = yaml.load(path.read_text(), _Loader) or {}
    except (FileNotFoundError, IsADirectoryError):
        near = ", ".join(sorted(p.name for p in path.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"recipe {path} is not a file (YAML files beside it: {near})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path} is not valid YAML: {one_line(error)}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"recipe {path} must be a mapping of sections, found {type(tree).__name__}")
    tree.setdefault("name", path.stem)
    return build_recipe(tree, dict(map(parse_override, overrides)))


def parse_override(text: str) -> tuple[str, Any]:
    """`"plan.alpha=0.3"` -> `("plan.alpha", 0.3)`."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"override {text!r} is not of the form section.field=value, e.g. train.steps=500")
    try:
        return name.strip(), yaml.load(value, _Loader)
    except yaml.YAMLError:
        raise ConfigError(f"override {text!r}: the value is not valid YAML") from None


def build_recipe(tree: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Validate a nested mapping, with dotted `overrides` put on top, as a `Recipe`."""
    merged = {str(key): {} if node is None and key in SECTIONS else node for key, node in deepcopy(dict(tree)).items()}
    for name, value in (overrides or {}).items():
        sections, field = _split(name)
        node = merged
        for depth, section in enumerate(sections, start=1):
            mapping = ".".join(sections[:depth])
            node = node.setdefault(section, _default(mapping) if mapping in MAPPINGS else {})
            if not isinstance(node, dict):
                raise ConfigError(f"{name}: {section!r} is a field, not a section; fields are section.field")
        node[field] = value
    return Recipe(**merged)


def _default(mapping: str) -> dict[str, Any]:
    section, _, field = mapping.partition(".")
    return dict(getattr(getattr(Recipe(), section), field))


def _split(name: str) -> tuple[list[str], str]:
    """`a.b.c` as sections and field; what stands behind a field that holds a mapping is one key of it."""
    for mapping in MAPPINGS:
        if name.startswith(mapping + "."):
            return mapping.split("."), name[len(mapping) + 1 :]
    *sections, field = name.split(".")
    return sections, field


def override_recipe(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """The same recipe with some dotted fields changed; `train.seed` and all others alike."""
    return build_recipe(recipe.resolved(), overrides)
