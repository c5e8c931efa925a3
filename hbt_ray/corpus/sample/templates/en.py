"""English phrasings."""

QUESTIONS = {
    "currency_of_territory": (
        "What money do people pay with in {territory}, which is part of {region}?",
        "Which currency is legal tender in {territory} ({region})?",
    ),
    "languages_of_territory": (
        "What do people officially speak in {territory}, which is part of {region}?",
        "Which languages have official status in {territory} ({region})?",
    ),
    "code_of_currency": (
        "Which three letters stand for the {currency} on a bank transfer to {territory}?",
        "What is the international code of the {currency}, the money of {territory}?",
    ),
    "currencies_of_territory_pair": (
        "Which currencies does a traveller need for {a} and then for {b}?",
        "What do people pay with in {a}, and what in {b}?",
    ),
    "scripts_of_language_pair": (
        "Which scripts are used to write {a} and {b}?",
        "What letters must I learn to read {a}, and what letters for {b}?",
    ),
    "weekdays_of_month": (
        "On which dates does {weekday} fall in {month} {year}?",
        "My course meets every {weekday}. When is that in {month} {year}?",
    ),
    "time_in_other_city": (
        "It is {weekday}, {time} in {a}. What time is it in {b}?",
        "A call starts on {weekday} at {time} in {a}: when is that for a colleague in {b}?",
    ),
    "unit_conversion": (
        "How much is {amount}, expressed in {unit}?",
        "What do I get when I convert {amount} into {unit}?",
    ),
}

FACTS = {
    "currency": ("In {territory} people pay with the {currency}.", "The currency of {territory} is the {currency}."),
    "region": ("{territory} belongs to the region {region}.", "On the map, {territory} lies in {region}."),
    "languages": (
        "Official in {territory}: {languages}.",
        "The official language use of {territory} covers {languages}.",
    ),
    "territory_code": (
        "Its two-letter country code is {code}.",
        "International standards abbreviate the territory as {code}.",
    ),
    "currency_code": ("The code of the {currency} is {code}.", "Banks write {code} for the {currency}."),
    "script": ("{language} is written in this script: {script}.", "The usual script of {language} is {script}."),
    "language_code": ("The language code of {language} is {code}.", "Software marks {language} with {code}."),
    "weekday_dates": (
        "In {month} {year}, {weekday} falls on these days: {days}.",
        "{weekday} comes on the following days of {month} {year}: {days}.",
    ),
    "first_date": ("The first of them is {date}.", "The series begins on {date}."),
    "month_start": (
        "The month opens on a {weekday} and lasts {length}.",
        "The month has {length}, and its first day is a {weekday}.",
    ),
    "time": (
        "When clocks in {a} show {weekday_a}, {time_a}, it is {weekday_b}, {time_b} in {b}.",
        "{weekday_a}, {time_a} in {a} is the same moment as {weekday_b}, {time_b} in {b}.",
    ),
    "offset": (
        "In standard time, {city} keeps {offset}.",
        "The standard time of {city} is {offset}.",
    ),
    "conversion": ("{amount} equals {result}.", "{result} is the same as {amount}."),
    "conversion_of_one": ("The rule: {one} is {result}.", "For comparison, {one} makes {result}."),
}
