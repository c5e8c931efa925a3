"""How a section of a recipe is checked: the limits of a field are its type, conditions between fields are required."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from hbt_ray.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
Text = Annotated[str, Field(min_length=1)]
LIMITS = {
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or above",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "string_too_short": "it is empty",
    "too_short": "it is empty",
}
"""pydantic's kind of error -> what is allowed."""
Section = TypeVar("Section")


def section(name: str) -> Callable[[type[Section]], type[Section]]:
    """Makes a frozen dataclass check its fields by their types: ConfigError for a wrong value or an unknown field."""

    def checked(plain: type[Section]) -> type[Section]:
        config = ConfigDict(extra="forbid", allow_inf_nan=False)
        kind: Any = dataclass(plain, frozen=True, kw_only=True, config=config)
        validate = kind.__init__

        def init(self: Section, **fields: Any) -> None:
            try:
                validate(self, **fields)
            except ValidationError as error:
                raise ConfigError(_refusal(error, kind, name)) from None

        kind.__init__ = init
        return kind  # type: ignore[no-any-return]

    return checked


def require(ok: bool, name: str, value: object, allowed: str) -> None:
    """ConfigError that names the field, its value and what is allowed, unless `ok`."""
    if not ok:
        raise ConfigError(f"{name}={value!r} is not allowed: {allowed}")


def _refusal(error: ValidationError, kind: Any, name: str) -> str:
    """The first problem, as `section.field=value is not allowed: what is allowed`; more are counted."""
    problems = error.errors()
    first = problems[0]
    context = first.get("ctx", {})
    if isinstance(context.get("error"), ConfigError):
        line = str(context["error"])
    else:
        if first["type"] == "unexpected_keyword_argument":
            for part in first["loc"][:-1]:
                kind = get_type_hints(kind)[str(part)]
            allowed = f"unknown field; fields here: {', '.join(field.name for field in dataclasses.fields(kind))}"
        else:
            limit = LIMITS.get(first["type"])
            allowed = limit.format(**context) if limit else first["msg"]
        where = ".".join(filter(None, (name, *map(str, first["loc"]))))
        line = f"{where}={first['input']!r} is not allowed: {allowed}"
    return line + (f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else "")
