"""Terms: what stands in a slot, said in any language by CLDR through babel (nothing is downloaded).

A term knows no language; `term.say(names)` gives its text, or raises `MissingName` where CLDR has no name in
that language, so that the whole item is left out and the corpus stays parallel.
"""

import datetime
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_decimal

_INFLECTED_MONTHS = frozenset({"el", "ru"})
"""Languages whose months have another form inside a date than on their own."""


class MissingName(LookupError):
    """CLDR has no name of a thing in a language; caught where items are chosen."""


class Term(Protocol):
    """Something that every language has words for."""

    def say(self, names: Locale) -> str:
        """The term's text in the language of `names`; raises `MissingName`."""
        ...


@dataclass(frozen=True)
class Name:
    """A CLDR display name: `kind` is an attribute of babel's `Locale`, `code` its key."""

    kind: str
    code: str

    def say(self, names: Locale) -> str:
        name: str | None = getattr(names, self.kind).get(self.code)
        # CLDR writes the code itself where it has no name, and English where a translation is still to come.
        if not name or name == self.code or (_is_not_latin(names) and name.isascii()):
            raise MissingName(f"{self.kind} {self.code} in {names}")
        return name


@dataclass(frozen=True)
class Names:
    """Several names joined as the language joins a list ("a, b and c")."""

    kind: str
    codes: tuple[str, ...]

    def say(self, names: Locale) -> str:
        return str(format_list([Name(self.kind, code).say(names) for code in self.codes], locale=names))


@dataclass(frozen=True)
class City:
    """A time zone's city."""

    zone: str

    def say(self, names: Locale) -> str:
        city: str | None = names.time_zones.get(self.zone, {}).get("city")
        if city is None and _is_not_latin(names):
            raise MissingName(f"city of {self.zone} in {names}")
        # By CLDR's rule the zone's own last part is the name where a Latin-script language gives no other.
        return city or self.zone.rpartition("/")[2].replace("_", " ")


@dataclass(frozen=True)
class Weekday:
    """A day of the week, 0 = Monday."""

    day: int

    def say(self, names: Locale) -> str:
        return str(names.days["format"]["wide"][self.day])


@dataclass(frozen=True)
class Month:
    """A month, 1 = January."""

    month: int

    def say(self, names: Locale) -> str:
        # "stand-alone" is an alias in most languages, and babel keeps a resolved alias in data that all of them
        # share: one language would answer with another's months. "format" is always the language's own.
        context = "stand-alone" if names.language in _INFLECTED_MONTHS else "format"
        return str(names.months[context]["wide"][self.month])


@dataclass(frozen=True)
class Date:
    """A day, in the language's full form ("Friday, March 5, 2027")."""

    day: datetime.date

    def say(self, names: Locale) -> str:
        return str(format_date(self.day, "full", locale=names))


@dataclass(frozen=True)
class Amount:
    """A number of a CLDR unit ("3 weeks"), in the language's plural form."""

    number: int
    unit: str

    def say(self, names: Locale) -> str:
        form = names.plural_form(self.number)
        widths = names._data["unit_patterns"].get(self.unit, {})
        # CLDR leaves the long form out where the short one is the same word, and a plural that is like the rest.
        for width in ("long", "short"):
            forms = widths.get(width, {})
            pattern = forms.get(form) or forms.get("other")
            if pattern:
                return str(pattern).replace("{0}", str(format_decimal(self.number, locale=names)))
        raise MissingName(f"unit {self.unit} in {names}")


@dataclass(frozen=True)
class Unit:
    """A unit without a number ("weeks")."""

    unit: str

    def say(self, names: Locale) -> str:
        forms = names._data["unit_display_names"].get(self.unit, {})
        name = forms.get("long") or forms.get("short")
        if not name:
            raise MissingName(f"unit {self.unit} in {names}")
        return str(name)


@dataclass(frozen=True)
class Text:
    """Signs that are the same in every language: codes, years, times on a 24-hour clock, UTC offsets."""

    text: str

    def say(self, names: Locale) -> str:
        return self.text


@cache
def names_of(lang: str) -> Locale:
    """CLDR's names in `lang`."""
    return Locale.parse(lang)


def _is_not_latin(names: Locale) -> bool:
    return not str(names.months["format"]["wide"][5])[0].isascii()
