"""What the sections share: unknown fields are refused, and so are values out of range."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from hbt_ray.errors import ConfigError

FORBID_UNKNOWN = {"extra": "forbid"}
LATER = "later"
T = TypeVar("T")


def later(default: T) -> T:
    """A field that a section got after runs had been made with it: at its default it is no part of their digests."""
    made: T = dataclasses.field(default=default, metadata={LATER: True})
    return made


def of_old(section: Any) -> dict[str, Any]:
    """The fields of a section, without those of `later` that are at their defaults."""
    return {
        field.name: getattr(section, field.name)
        for field in dataclasses.fields(section)
        if not (field.metadata.get(LATER) and getattr(section, field.name) == field.default)
    }


def require(ok: bool, name: str, value: object, allowed: str) -> None:
    """ConfigError that names the field, its value and what is allowed, unless `ok`."""
    if not ok:
        raise ConfigError(f"{name}={value!r} is not allowed: {allowed}")
