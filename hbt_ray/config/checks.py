"""What the sections share: unknown fields are refused, and so are values out of range."""

from __future__ import annotations

from hbt_ray.errors import ConfigError

FORBID_UNKNOWN = {"extra": "forbid"}


def require(ok: bool, name: str, value: object, allowed: str) -> None:
    """ConfigError that names the field, its value and what is allowed, unless `ok`."""
    if not ok:
        raise ConfigError(f"{name}={value!r} is not allowed: {allowed}")
