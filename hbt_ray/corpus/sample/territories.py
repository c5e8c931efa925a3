"""Items whose entity is a territory: its currency, its languages, and the code of its own currency."""

import datetime
from collections.abc import Iterator

from babel.core import get_global
from babel.numbers import get_territory_currencies

from hbt_ray.corpus.sample.facts import REGION_OF_TERRITORY
from hbt_ray.corpus.sample.items import Fact, SampleItem
from hbt_ray.corpus.sample.terms import Name, Names, Term, Text

# Today's date must not decide what is written, so currencies are those of one day.
_DAY = datetime.date(2025, 1, 1)


def territory_items() -> Iterator[SampleItem]:
    """The items of every territory, in the order of their codes."""
    for code in sorted(REGION_OF_TERRITORY):
        territory, region = Name("territories", code), Name("territories", REGION_OF_TERRITORY[code])
        entity = f"territory:{code}"
        asked: dict[str, Term] = {"territory": territory, "region": region}
        where = Fact(key="region", slots=asked)
        shortened = Fact(key="territory_code", slots={"code": Text(code)})

        currencies = currencies_of(code)
        if currencies:
            paid_with = Names("currencies", currencies)
            paid = Fact(key="currency", slots={"territory": territory, "currency": paid_with})
            yield SampleItem(
                source="currency_of_territory",
                entity=entity,
                slots=asked,
                facts=(paid, where, shortened),
                answer=paid_with,
            )
        languages = _official_languages(code)
        if languages:
            spoken = Names("languages", languages)
            told = Fact(key="languages", slots={"territory": territory, "languages": spoken})
            yield SampleItem(
                source="languages_of_territory",
                entity=entity,
                slots=asked,
                facts=(told, where, shortened),
                answer=spoken,
            )
        # ISO 4217 begins a territory's own currency with the territory's code (JP, JPY).
        if len(currencies) == 1 and currencies[0].startswith(code):
            currency, letters = Name("currencies", currencies[0]), Text(currencies[0])
            yield SampleItem(
                source="code_of_currency",
                entity=entity,
                slots={"currency": currency, "territory": territory},
                facts=(Fact(key="currency_code", slots={"currency": currency, "code": letters}), where),
                answer=letters,
            )


def currencies_of(territory: str) -> tuple[str, ...]:
    """ISO 4217 codes of the legal tender of a territory."""
    return tuple(get_territory_currencies(territory, _DAY, _DAY, tender=True, non_tender=False))


def _official_languages(territory: str) -> tuple[str, ...]:
    languages = get_global("territory_languages").get(territory, {})
    official = (
        code
        for code, facts in sorted(languages.items(), key=lambda pair: -pair[1]["population_percent"])
        if facts["official_status"] in ("official", "de_facto_official")
    )
    # A language in two scripts is listed twice ("sr", "sr_Latn"); its plain name is enough.
    return tuple(dict.fromkeys(code.partition("_")[0] for code in official))[:4]
