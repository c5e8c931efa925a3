"""Recipes from YAML files, command-line overrides and trial configurations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from hbt_ray.config import Recipe
from hbt_ray.errors import ConfigError, one_line

SECTIONS = frozenset(field.name for field in dataclasses.fields(Recipe) if field.name not in ("name", "workspace"))


MAPPINGS = ("tune.space", "plan.source_weights", "model.losses")
"""Fields that hold a mapping: `tune.space.plan.alpha=[0.2, 0.8]` sets its key `plan.alpha`, and leaves the others."""


@cache
def _adapter() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a YAML recipe and apply `section.field=value` overrides (values in YAML syntax).

    Raises:
        ConfigError: the file is missing or not YAML, or a field is unknown, of a wrong type or out of range.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text()) or {}
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
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"override {text!r}: the value is not valid YAML") from None
    return name.strip(), _number(parsed)


def build_recipe(tree: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Validate a nested mapping, with dotted `overrides` put on top, as a `Recipe`."""
    merged = {key: {} if node is None and key in SECTIONS else node for key, node in _copy(tree).items()}
    for name, value in (overrides or {}).items():
        sections, field = _split(name)
        node = merged
        for depth, section in enumerate(sections, start=1):
            mapping = ".".join(sections[:depth])
            node = node.setdefault(section, _default(mapping) if mapping in MAPPINGS else {})
            if not isinstance(node, dict):
                raise ConfigError(f"{name}: {section!r} is a field, not a section; fields are section.field")
        node[field] = value
    try:
        return _adapter().validate_python(merged)
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from None


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


def _copy(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _copy(value) for key, value in node.items()}
    return _number(node)


def _number(value: Any) -> Any:
    """YAML 1.1 reads `3e-5` as a string; people mean a number."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, str) and value[:1] in "0123456789.+-" and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _one_line(error: ValidationError) -> str:
    """The first problem, as `section.field=value: what is wrong`; more are counted."""
    problems = error.errors()
    first = problems[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        line = str(cause)
    else:
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        kind = "unknown field" if "extra" in first["type"] or "unexpected" in first["type"] else first["msg"]
        line = f"{where}={first['input']!r} is not allowed: {kind}{_known_fields(first['loc'], kind)}"
    return line + (f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else "")


def _known_fields(loc: tuple[int | str, ...], kind: str) -> str:
    if kind != "unknown field":
        return ""
    node: Any = Recipe()
    for part in loc[:-1]:
        node = getattr(node, str(part), None)
    names = [field.name for field in dataclasses.fields(node)] if dataclasses.is_dataclass(node) else []
    return f"; fields here: {', '.join(names)}" if names else ""
