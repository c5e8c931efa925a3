"""German phrasings."""

QUESTIONS = {
    "currency_of_territory": (
        "Mit welchem Geld bezahlt man in diesem Gebiet: {territory}, Teil von {region}?",
        "Welche Währung ist gesetzliches Zahlungsmittel in {territory} ({region})?",
    ),
    "languages_of_territory": (
        "Was spricht man amtlich in diesem Gebiet: {territory}, Teil von {region}?",
        "Welche Sprachen haben amtlichen Status in {territory} ({region})?",
    ),
    "code_of_currency": (
        "Welche drei Buchstaben stehen bei einer Überweisung nach {territory} für „{currency}“?",
        "Wie lautet der internationale Code der Währung „{currency}“, des Geldes von {territory}?",
    ),
    "currencies_of_territory_pair": (
        "Welche Währungen braucht ein Reisender für {a} und danach für {b}?",
        "Womit bezahlt man in {a} und womit in {b}?",
    ),
    "scripts_of_language_pair": (
        "In welchen Schriften schreibt man {a} und {b}?",
        "Welche Buchstaben muss ich lernen, um {a} zu lesen, und welche für {b}?",
    ),
    "weekdays_of_month": (
        "Auf welche Tage fällt der {weekday} im {month} {year}?",
        "Mein Kurs ist immer am {weekday}. Wann ist das im {month} {year}?",
    ),
    "time_in_other_city": (
        "In {a} ist es {weekday}, {time} Uhr. Wie spät ist es in {b}?",
        "Ein Anruf beginnt am {weekday} um {time} Uhr in {a}: Wann ist das für eine Kollegin in {b}?",
    ),
    "unit_conversion": (
        "Wie viel sind {amount}, ausgedrückt in der Einheit {unit}?",
        "Was erhalte ich, wenn ich {amount} in {unit} umrechne?",
    ),
}

FACTS = {
    "currency": ("In {territory} bezahlt man so: {currency}.", "Die Währung von {territory} heißt {currency}."),
    "region": ("{territory} gehört zur Region {region}.", "Auf der Karte liegt {territory} in {region}."),
    "languages": (
        "Amtlich in {territory}: {languages}.",
        "Der amtliche Sprachgebrauch von {territory} umfasst {languages}.",
    ),
    "territory_code": (
        "Der Ländercode aus zwei Buchstaben ist {code}.",
        "Internationale Normen kürzen das Gebiet mit {code} ab.",
    ),
    "currency_code": (
        "Der Code der Währung „{currency}“ ist {code}.",
        "Banken schreiben {code} für die Währung „{currency}“.",
    ),
    "script": (
        "{language} schreibt man in dieser Schrift: {script}.",
        "Die übliche Schrift für {language} ist {script}.",
    ),
    "language_code": ("Der Sprachcode für {language} ist {code}.", "Programme kennzeichnen {language} mit {code}."),
    "weekday_dates": (
        "Im {month} {year} fällt der {weekday} auf diese Tage: {days}.",
        "Der {weekday} kommt an folgenden Tagen im {month} {year} vor: {days}.",
    ),
    "first_date": ("Das erste Datum ist {date}.", "Die Reihe beginnt so: {date}."),
    "month_start": (
        "Der Monat beginnt an einem {weekday}, seine Länge: {length}.",
        "Länge des Monats: {length}; sein erster Tag ist ein {weekday}.",
    ),
    "time": (
        "Wenn die Uhren in {a} {weekday_a}, {time_a} Uhr zeigen, ist es in {b} {weekday_b}, {time_b} Uhr.",
        "{weekday_a}, {time_a} Uhr in {a} ist derselbe Moment wie {weekday_b}, {time_b} Uhr in {b}.",
    ),
    "offset": (
        "In der Normalzeit gilt in {city} {offset}.",
        "Die Normalzeit von {city} ist {offset}.",
    ),
    "conversion": ("{amount} entsprechen {result}.", "{result} sind dasselbe wie {amount}."),
    "conversion_of_one": ("Die Regel: {one} entspricht {result}.", "Zum Vergleich: {one} ergibt {result}."),
}
