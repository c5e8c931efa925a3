"""Arabic phrasings; names stand after a colon or in quotes, where no preposition changes them."""

QUESTIONS = {
    "currency_of_territory": (
        "بأي نقود يدفع الناس في هذا الإقليم: {territory} ({region})؟",
        "ما العملة القانونية هنا: {territory}، ضمن منطقة {region}؟",
    ),
    "languages_of_territory": (
        "ماذا يتكلم الناس رسميا في هذا الإقليم: {territory} ({region})؟",
        "ما اللغات التي لها صفة رسمية هنا: {territory}، ضمن منطقة {region}؟",
    ),
    "code_of_currency": (
        "ما الأحرف الثلاثة التي ترمز إلى عملة «{currency}» في حوالة مصرفية إلى: {territory}؟",
        "ما الرمز الدولي لعملة «{currency}»، نقود {territory}؟",
    ),
    "currencies_of_territory_pair": (
        "ما العملات التي يحتاج إليها مسافر وجهته: {a} ثم {b}؟",
        "بماذا يدفع الناس هنا: {a}، وبماذا هناك: {b}؟",
    ),
    "scripts_of_language_pair": (
        "بأي خط تكتب اللغة {a} واللغة {b}؟",
        "ما الحروف التي يجب أن أتعلمها لقراءة {a}، وما الحروف لقراءة {b}؟",
    ),
    "weekdays_of_month": (
        "في أي تواريخ يقع يوم {weekday} خلال شهر {month} {year}؟",
        "درسي دائما يوم {weekday}. متى يكون ذلك في شهر {month} {year}؟",
    ),
    "time_in_other_city": (
        "اليوم {weekday} والساعة {time} في مدينة {a}. كم الساعة في مدينة {b}؟",
        "تبدأ مكالمة يوم {weekday}، الساعة {time}، بتوقيت {a}. متى يكون ذلك لزميل في مدينة {b}؟",
    ),
    "unit_conversion": (
        "كم يساوي {amount} بهذه الوحدة: {unit}؟",
        "على ماذا أحصل إذا حولت {amount} إلى {unit}؟",
    ),
}

FACTS = {
    "currency": ("الإقليم: {territory}. يدفع الناس فيه بعملة {currency}.", "عملة {territory} هي {currency}."),
    "region": ("ينتمي {territory} إلى منطقة {region}.", "على الخريطة: {territory} جزء من {region}."),
    "languages": (
        "اللغة الرسمية، {territory}: {languages}.",
        "الاستعمال اللغوي الرسمي في {territory} يشمل: {languages}.",
    ),
    "territory_code": (
        "رمز البلد المكون من حرفين هو {code}.",
        "تختصر المعايير الدولية اسم الإقليم هكذا: {code}.",
    ),
    "currency_code": ("رمز عملة «{currency}» هو {code}.", "تكتب المصارف {code} لعملة «{currency}»."),
    "script": ("تكتب اللغة {language} بهذا الخط: {script}.", "الخط المعتاد للغة {language} هو: {script}."),
    "language_code": ("رمز اللغة {language} هو {code}.", "ترمز البرامج إلى اللغة {language} هكذا: {code}."),
    "weekday_dates": (
        "في شهر {month} {year} يقع يوم {weekday} في هذه الأيام: {days}.",
        "يأتي يوم {weekday} في الأيام التالية من شهر {month} {year}: {days}.",
    ),
    "first_date": ("أول تاريخ منها: {date}.", "تبدأ السلسلة هكذا: {date}."),
    "month_start": (
        "يبدأ الشهر يوم {weekday} ومدته {length}.",
        "مدة الشهر {length}، وأول أيامه {weekday}.",
    ),
    "time": (
        "عندما تشير الساعات في {a} إلى {weekday_a}، {time_a}، يكون الوقت في {b} {weekday_b}، {time_b}.",
        "{weekday_a}، {time_a} في {a} هي اللحظة نفسها في {b}: {weekday_b}، {time_b}.",
    ),
    "offset": (
        "في التوقيت القياسي تتبع مدينة {city} {offset}.",
        "التوقيت القياسي لمدينة {city} هو {offset}.",
    ),
    "conversion": ("{amount} تساوي {result}.", "{result} هي نفسها {amount}."),
    "conversion_of_one": ("القاعدة: {one} يساوي {result}.", "للمقارنة: {one} يعادل {result}."),
}
