"""Turkish phrasings; names stand after a colon or before a noun, where no suffix is needed."""

QUESTIONS = {
    "currency_of_territory": (
        "Şu bölgede hangi parayla ödeme yapılır: {territory} ({region})?",
        "{region} bölgesindeki şu yerde yasal para birimi hangisidir: {territory}?",
    ),
    "languages_of_territory": (
        "Şu bölgede resmî olarak ne konuşulur: {territory} ({region})?",
        "{region} bölgesindeki şu yerde hangi diller resmîdir: {territory}?",
    ),
    "code_of_currency": (
        "Banka havalesinde “{currency}” hangi üç harfle gösterilir (ülke: {territory})?",
        "{territory} için kullanılan “{currency}” para biriminin uluslararası kodu nedir?",
    ),
    "currencies_of_territory_pair": (
        "Bir yolcuya önce {a}, sonra {b} için hangi para birimleri gerekir?",
        "Şurada neyle ödenir: {a}; peki orada: {b}?",
    ),
    "scripts_of_language_pair": (
        "{a} ve {b} hangi yazılarla yazılır?",
        "{a} okumak için hangi harfleri, {b} için hangilerini öğrenmeliyim?",
    ),
    "weekdays_of_month": (
        "{year} yılının {month} ayında {weekday} günü hangi tarihlere denk gelir?",
        "Kursum her {weekday} günü. {month} {year} içinde bu ne zaman?",
    ),
    "time_in_other_city": (
        "{a} şehrinde günlerden {weekday}, saat {time}. {b} şehrinde saat kaç?",
        "Bir görüşme {weekday} günü {time} saatinde başlıyor ({a}). {b} şehrindeki meslektaşım için bu ne zaman?",
    ),
    "unit_conversion": (
        "{amount}, {unit} birimiyle ne kadar eder?",
        "{amount} miktarını {unit} birimine çevirirsem ne bulurum?",
    ),
}

FACTS = {
    "currency": ("Bölge: {territory}. Burada şununla ödenir: {currency}.", "{territory} için para birimi: {currency}."),
    "region": ("{territory}, {region} bölgesine aittir.", "Haritada {territory}, {region} içinde yer alır."),
    "languages": (
        "{territory} için resmî dil: {languages}.",
        "{territory} bölgesinde resmî dil kullanımı şunu kapsar: {languages}.",
    ),
    "territory_code": (
        "İki harfli ülke kodu {code} biçimindedir.",
        "Uluslararası standartlar bölgeyi {code} olarak kısaltır.",
    ),
    "currency_code": ("“{currency}” kodu: {code}.", "Bankalar “{currency}” için {code} yazar."),
    "script": ("{language} şu yazıyla yazılır: {script}.", "{language} için olağan yazı: {script}."),
    "language_code": ("{language} için dil kodu: {code}.", "Yazılımlar {language} için {code} kullanır."),
    "weekday_dates": (
        "{year} yılının {month} ayında {weekday} şu günlere denk gelir: {days}.",
        "{weekday} günü, {month} {year} içinde şu günlerdedir: {days}.",
    ),
    "first_date": ("Bunların ilki: {date}.", "Dizi şöyle başlar: {date}."),
    "month_start": (
        "Ay {weekday} günü başlar ve {length} sürer.",
        "Ayın uzunluğu {length}, ilk günü ise {weekday}.",
    ),
    "time": (
        "{a} şehrinde saatler {weekday_a}, {time_a} gösterirken {b} şehrinde {weekday_b}, {time_b} olur.",
        "{weekday_a}, {time_a} ({a}) ile {weekday_b}, {time_b} ({b}) aynı andır.",
    ),
    "offset": (
        "Standart saatte {city} şehrinde {offset} geçerlidir.",
        "{city} için standart saat {offset} olur.",
    ),
    "conversion": ("{amount}, {result} eder.", "{result} ile {amount} aynı şeydir."),
    "conversion_of_one": ("Kural: {one}, {result} demektir.", "Karşılaştırma için: {one}, {result} eder."),
}
