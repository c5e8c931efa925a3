"""Recipes from YAML files, command-line overrides and trial configurations."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Hashable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from hbt_ray.config import Recipe, TuneConfig
from hbt_ray.errors import ConfigError, one_line

SECTIONS = frozenset(field.name for field in dataclasses.fields(Recipe) if field.name not in ("name", "workspace"))


SPACE = object()
"""The type of tune.space: the values of a field are lists of what the field holds."""
MAPPINGS = (
    *("tune.space", "tune.arms", "tune.weights", "tune.guards", "tune.traffic"),
    *("plan.source_weights", "model.losses"),
)
"""Fields that hold a mapping: `tune.space.plan.alpha=[0.2, 0.8]` sets its key `plan.alpha`, and leaves the others."""


@dataclass(frozen=True)
class Written:
    """A scalar without quotes as it stands in YAML, and what YAML takes it for: `no`, False."""

    text: str
    """With its blanks, but not those at its ends."""
    value: Any
    """False, a number, a date, or None."""


class _Loader(yaml.SafeLoader):
    """Keeps scalars as they were written, and refuses a key that comes twice.

    YAML 1.1 reads `3e-5` as a string; people mean a number.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        value = super().construct_object(node, deep=deep)
        written = isinstance(node, yaml.ScalarNode) and node.style is None and not isinstance(value, str)
        return Written(node.value, value) if written else value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                line = seen[name].start_mark.line + 1
                problem = f"{name!r} comes twice, first in line {line}: put both into one"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen[name] = key
        self.flatten_mapping(node)
        return {str(key.value): self.construct_object(value, deep=True) for key, value in node.value}


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
        tree = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader) or {}
    except (FileNotFoundError, IsADirectoryError):
        near = ", ".join(sorted(p.name for p in path.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"recipe {path} is not a file (YAML files beside it: {near})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        hint = "; put a text that has ': ' in it in quotes" if "mapping values" in str(error) else ""
        raise ConfigError(f"recipe {path} is not valid YAML: {one_line(error)}{hint}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"recipe {path} must be a mapping of sections, found {type(_typed(tree, Any)).__name__}")
    tree = _typed(tree, Recipe)
    tree.setdefault("name", path.stem)
    return build_recipe(tree, dict(map(parse_override, overrides)))


def parse_override(text: str) -> tuple[str, Any]:
    """`"plan.alpha=0.3"` -> `("plan.alpha", 0.3)`; a field that holds a text takes what stands there, or in quotes."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"override {text!r} is not of the form section.field=value, e.g. train.steps=500")
    name = name.strip()
    kind = _kind(name)
    if kind is str and value.strip()[:1] not in ("'", '"'):
        return name, value
    try:
        return name, _typed(yaml.load(value, _Loader), kind)
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


def _typed(node: Any, kind: Any) -> Any:
    """`node` with each `Written` as its text where `kind`, the type of a field, holds texts, else as its value."""
    if isinstance(node, Written):
        missing = node.value is None and node.text  # null, ~
        takes_text = kind is str or node.text in get_args(kind)
        return node.text if takes_text and not missing else node.value
    if isinstance(node, list):
        item = next(iter(get_args(kind)), Any)
        return [_typed(each, item) for each in node]
    if not isinstance(node, dict):
        return node
    if kind is SPACE:
        return {name: _typed(values, list[_kind(name)]) for name, values in node.items()}  # type: ignore[misc]
    fields = _fields(kind)
    item = get_args(kind)[1] if get_origin(kind) is dict else Any
    return {name: _typed(each, fields.get(name, item)) for name, each in node.items()}


def _kind(name: str) -> Any:
    """The type of a dotted field; Any where there is none of that name."""
    sections, field = _split(name)
    kind: Any = Recipe
    for part in (*sections, field):
        if kind is SPACE:
            return list[_kind(field)]  # type: ignore[misc]
        kind = get_args(kind)[1] if get_origin(kind) is dict else _fields(kind).get(part, Any)
    return kind


def _fields(kind: Any) -> dict[str, Any]:
    """Names and types of a section's fields; the space of a study is `SPACE`."""
    if not dataclasses.is_dataclass(kind):
        return {}
    hints = get_type_hints(kind)
    return hints | {"space": SPACE} if kind is TuneConfig else hints


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
