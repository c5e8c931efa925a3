"""Russian phrasings; names stand after a colon or in quotes, in the nominative that CLDR gives."""

QUESTIONS = {
    "currency_of_territory": (
        "Какими деньгами платят на этой территории: {territory} ({region})?",
        "Какая валюта является законным платёжным средством здесь: {territory}, регион «{region}»?",
    ),
    "languages_of_territory": (
        "На чём официально говорят на этой территории: {territory} ({region})?",
        "Какие языки имеют официальный статус здесь: {territory}, регион «{region}»?",
    ),
    "code_of_currency": (
        "Какие три буквы обозначают валюту «{currency}» в банковском переводе, страна — {territory}?",
        "Каков международный код валюты «{currency}» (деньги территории {territory})?",
    ),
    "currencies_of_territory_pair": (
        "Какие валюты нужны путешественнику по маршруту: {a}, затем {b}?",
        "Чем платят здесь: {a}, и чем там: {b}?",
    ),
    "scripts_of_language_pair": (
        "Какой письменностью пользуются языки: {a} и {b}?",
        "Какие буквы надо выучить, чтобы читать на языке «{a}», и какие для языка «{b}»?",
    ),
    "weekdays_of_month": (
        "На какие числа приходится {weekday} в этом месяце: {month} {year}?",
        "День моих занятий — {weekday}. Когда это будет, если месяц — {month} {year}?",
    ),
    "time_in_other_city": (
        "В этом городе ({a}) сейчас {weekday}, {time}. Который час в городе {b}?",
        "Звонок начинается так: {weekday}, {time}, город {a}. Когда это для коллеги в городе {b}?",
    ),
    "unit_conversion": (
        "Сколько будет {amount}, если единица измерения — {unit}?",
        "Что получится, если перевести {amount} в {unit}?",
    ),
}

FACTS = {
    "currency": (
        "Территория: {territory}. Здесь платят так: {currency}.",
        "Валюта территории «{territory}» — {currency}.",
    ),
    "region": (
        "Территория «{territory}» относится к региону «{region}».",
        "На карте {territory} — это регион «{region}».",
    ),
    "languages": (
        "Официальный язык, {territory}: {languages}.",
        "Официально на территории «{territory}» используется: {languages}.",
    ),
    "territory_code": (
        "Двухбуквенный код страны — {code}.",
        "Международные стандарты сокращают название территории как {code}.",
    ),
    "currency_code": ("Код валюты «{currency}» — {code}.", "Банки пишут {code} для валюты «{currency}»."),
    "script": (
        "Язык «{language}» использует такую письменность: {script}.",
        "Обычная письменность для языка «{language}» — {script}.",
    ),
    "language_code": ("Код языка «{language}» — {code}.", "Программы обозначают язык «{language}» как {code}."),
    "weekday_dates": (
        "Месяц: {month} {year}. День недели {weekday} приходится на числа: {days}.",
        "{weekday} выпадает на следующие числа ({month} {year}): {days}.",
    ),
    "first_date": ("Первая дата — {date}.", "Ряд начинается так: {date}."),
    "month_start": (
        "Первый день месяца — {weekday}, длина месяца — {length}.",
        "В месяце {length}, и начинается он так: {weekday}.",
    ),
    "time": (
        "Когда часы в городе {a} показывают {weekday_a}, {time_a}, в городе {b} — {weekday_b}, {time_b}.",
        "{weekday_a}, {time_a} ({a}) — тот же момент, что {weekday_b}, {time_b} ({b}).",
    ),
    "offset": (
        "По стандартному времени в городе {city} действует {offset}.",
        "Стандартное время города {city} — {offset}.",
    ),
    "conversion": ("{amount} — это {result}.", "{result} — то же самое, что {amount}."),
    "conversion_of_one": ("Правило: {one} — это {result}.", "Для сравнения: {one} даёт {result}."),
}
