"""Items whose entity is a combination: the parts recur from item to item, the combination does not.

They are what a small encoder can learn a language pair's words from, and still be asked about something new.
"""

import calendar
import datetime
from collections.abc import Collection, Iterator
from itertools import combinations, permutations, product

from babel.core import get_global

from hbt_ray.corpus.sample import facts
from hbt_ray.corpus.sample.items import Fact, SampleItem
from hbt_ray.corpus.sample.terms import Amount, City, Date, Month, Name, Term, Text, Unit, Weekday
from hbt_ray.corpus.sample.territories import currencies_of


def territory_pair_items(train_territories: Collection[str]) -> Iterator[SampleItem]:
    """The currencies of two territories; none that is on the dev side, lest its facts be seen in training."""
    paired = [code for code in facts.PAIRED_TERRITORIES if code in train_territories]
    for codes in combinations([code for code in paired if len(currencies_of(code)) == 1], 2):
        money = [currencies_of(code)[0] for code in codes]
        if money[0] == money[1]:
            continue
        a, b = (Name("territories", code) for code in codes)
        sentences = [
            Fact(key="currency", slots={"territory": territory, "currency": Name("currencies", currency)})
            for territory, currency in zip((a, b), money, strict=True)
        ]
        regions = [
            Fact(key="region", slots={"territory": territory, "region": Name("territories", region)})
            for territory, region in zip((a, b), map(facts.REGION_OF_TERRITORY.get, codes), strict=True)
            if region is not None
        ]
        yield SampleItem(
            source="currencies_of_territory_pair",
            entity=f"territory_pair:{codes[0]}-{codes[1]}",
            slots={"a": a, "b": b},
            facts=(*sentences, *regions),
            answer=Name("currencies", money[1]),
        )


def language_pair_items() -> Iterator[SampleItem]:
    """The usual scripts of two languages that are written in different ones."""
    for codes in combinations(facts.PAIRED_LANGUAGES, 2):
        scripts = [get_global("likely_subtags")[code].split("_")[1] for code in codes]
        if scripts[0] == scripts[1]:
            continue
        a, b = (Name("languages", code) for code in codes)
        written = [
            Fact(key="script", slots={"language": language, "script": Name("scripts", script)})
            for language, script in zip((a, b), scripts, strict=True)
        ]
        coded = Fact(key="language_code", slots={"language": a, "code": Text(codes[0])})
        yield SampleItem(
            source="scripts_of_language_pair",
            entity=f"language_pair:{codes[0]}-{codes[1]}",
            slots={"a": a, "b": b},
            facts=(*written, coded),
            answer=Name("scripts", scripts[1]),
        )


def calendar_items() -> Iterator[SampleItem]:
    """The days on which a weekday falls in a month of a year."""
    for year, month, weekday in product(facts.YEARS, range(1, 13), range(7)):
        first_weekday, length = calendar.monthrange(year, month)
        days = [day for day in range(1, length + 1) if (first_weekday + day - 1) % 7 == weekday]
        asked: dict[str, Term] = {"weekday": Weekday(weekday), "month": Month(month), "year": Text(str(year))}
        answer = Text(", ".join(map(str, days)))
        yield SampleItem(
            source="weekdays_of_month",
            entity=f"weekday_month:{year}-{month:02d}-{weekday + 1}",
            slots=asked,
            facts=(
                Fact(key="weekday_dates", slots={**asked, "days": answer}),
                Fact(key="first_date", slots={"date": Date(datetime.date(year, month, days[0]))}),
                Fact(
                    key="month_start",
                    slots={"weekday": Weekday(first_weekday), "length": Amount(length, "duration-day")},
                ),
            ),
            answer=answer,
        )


def city_time_items() -> Iterator[SampleItem]:
    """The weekday and time in one city when it is a given weekday and time in another, in standard time."""
    week = 7 * 24 * 60
    zones = permutations(facts.UTC_OFFSETS, 2)
    for (zone_a, zone_b), weekday, hour in product(zones, range(7), range(6, 22, 3)):
        offset_a, offset_b = facts.UTC_OFFSETS[zone_a], facts.UTC_OFFSETS[zone_b]
        if offset_a == offset_b:
            continue
        weekday_b, minute_b = divmod((weekday * 1440 + hour * 60 - offset_a + offset_b) % week, 1440)
        a, b = City(zone_a), City(zone_b)
        answer = Text(_clock(minute_b))
        slots: dict[str, Term] = {
            "a": a,
            "b": b,
            "weekday_a": Weekday(weekday),
            "time_a": Text(_clock(hour * 60)),
            "weekday_b": Weekday(weekday_b),
            "time_b": answer,
        }
        yield SampleItem(
            source="time_in_other_city",
            entity=f"city_time:{zone_a}-{zone_b}-{weekday + 1}-{hour:02d}",
            slots={"a": a, "b": b, "weekday": Weekday(weekday), "time": Text(_clock(hour * 60))},
            facts=(
                Fact(key="time", slots=slots),
                Fact(key="offset", slots={"city": a, "offset": Text(_utc(offset_a))}),
                Fact(key="offset", slots={"city": b, "offset": Text(_utc(offset_b))}),
            ),
            answer=answer,
        )


def unit_items() -> Iterator[SampleItem]:
    """An amount of a unit in a smaller unit of the same kind."""
    for group, sizes in facts.UNIT_SIZES.items():
        for (into, unit), number in product(combinations(sizes, 2), facts.AMOUNTS):
            amount = Amount(number, f"{group}-{unit}")
            result = Amount(facts.convert(number, group, unit, into), f"{group}-{into}")
            one = Amount(facts.convert(1, group, unit, into), f"{group}-{into}")
            yield SampleItem(
                source="unit_conversion",
                entity=f"unit_amount:{number}-{unit}-{into}",
                slots={"amount": amount, "unit": Unit(f"{group}-{into}")},
                facts=(
                    Fact(key="conversion", slots={"amount": amount, "result": result}),
                    Fact(
                        key="conversion_of_one",
                        slots={"one": Amount(1, f"{group}-{unit}"), "result": one},
                    ),
                ),
                answer=result,
            )


def _clock(minute: int) -> str:
    return "{:02d}:{:02d}".format(*divmod(minute, 60))


def _utc(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")
