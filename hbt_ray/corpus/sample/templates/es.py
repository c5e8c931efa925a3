"""Spanish phrasings."""

QUESTIONS = {
    "currency_of_territory": (
        "¿Con qué dinero se paga en este territorio: {territory}, parte de {region}?",
        "¿Qué moneda es de curso legal en {territory} ({region})?",
    ),
    "languages_of_territory": (
        "¿Qué se habla oficialmente en este territorio: {territory}, parte de {region}?",
        "¿Qué idiomas tienen carácter oficial en {territory} ({region})?",
    ),
    "code_of_currency": (
        "¿Qué tres letras indican la moneda «{currency}» en una transferencia bancaria a {territory}?",
        "¿Cuál es el código internacional de la moneda «{currency}», el dinero de {territory}?",
    ),
    "currencies_of_territory_pair": (
        "¿Qué monedas necesita un viajero para {a} y después para {b}?",
        "¿Con qué se paga en {a} y con qué en {b}?",
    ),
    "scripts_of_language_pair": (
        "¿Con qué sistemas de escritura se escriben el {a} y el {b}?",
        "¿Qué letras debo aprender para leer en {a} y cuáles para leer en {b}?",
    ),
    "weekdays_of_month": (
        "¿En qué fechas cae el {weekday} en {month} de {year}?",
        "Mi curso es siempre en {weekday}. ¿Cuándo toca en {month} de {year}?",
    ),
    "time_in_other_city": (
        "Es {weekday}, {time}, en {a}. ¿Qué hora es en {b}?",
        "Una llamada empieza el {weekday} a esta hora de {a}: {time}. ¿Cuándo es para un colega en {b}?",
    ),
    "unit_conversion": (
        "¿Cuánto son {amount}, expresado en {unit}?",
        "¿Qué obtengo si convierto {amount} en {unit}?",
    ),
}

FACTS = {
    "currency": ("En {territory} se paga con esta moneda: {currency}.", "La moneda de {territory} es: {currency}."),
    "region": ("{territory} pertenece a la región {region}.", "En el mapa, {territory} se sitúa en {region}."),
    "languages": (
        "Lengua oficial en {territory}: {languages}.",
        "El uso lingüístico oficial de {territory} comprende: {languages}.",
    ),
    "territory_code": (
        "Su código de país de dos letras es {code}.",
        "Las normas internacionales abrevian el territorio como {code}.",
    ),
    "currency_code": (
        "El código de la moneda «{currency}» es {code}.",
        "Los bancos escriben {code} para la moneda «{currency}».",
    ),
    "script": (
        "El {language} se escribe con este sistema: {script}.",
        "La escritura habitual del {language} es: {script}.",
    ),
    "language_code": (
        "El código de idioma del {language} es {code}.",
        "Los programas marcan el {language} con {code}.",
    ),
    "weekday_dates": (
        "En {month} de {year}, el {weekday} cae en estos días: {days}.",
        "El {weekday} llega en los siguientes días de {month} de {year}: {days}.",
    ),
    "first_date": ("La primera fecha es: {date}.", "La serie comienza así: {date}."),
    "month_start": (
        "El mes empieza en {weekday} y dura {length}.",
        "El mes tiene {length} y su primer día es {weekday}.",
    ),
    "time": (
        "Cuando los relojes de {a} marcan {weekday_a}, {time_a}, en {b} es {weekday_b}, {time_b}.",
        "{weekday_a}, {time_a} en {a} es el mismo momento que {weekday_b}, {time_b} en {b}.",
    ),
    "offset": (
        "En hora estándar, {city} sigue {offset}.",
        "La hora estándar de {city} es {offset}.",
    ),
    "conversion": ("{amount} equivalen a {result}.", "{result} es lo mismo que {amount}."),
    "conversion_of_one": ("La regla: {one} equivale a {result}.", "Para comparar, {one} da {result}."),
}
