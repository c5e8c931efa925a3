"""Hindi phrasings; names stand after a colon or in quotes where a postposition would change them."""

QUESTIONS = {
    "currency_of_territory": (
        "{region} के इस क्षेत्र में लोग किस पैसे से भुगतान करते हैं: {territory}?",
        "{territory} ({region}) में कौन-सी मुद्रा वैध है?",
    ),
    "languages_of_territory": (
        "{region} के इस क्षेत्र में लोग आधिकारिक रूप से क्या बोलते हैं: {territory}?",
        "{territory} ({region}) में किन भाषाओं को आधिकारिक दर्जा प्राप्त है?",
    ),
    "code_of_currency": (
        "{territory} को बैंक से पैसे भेजते समय “{currency}” के लिए कौन-से तीन अक्षर लिखे जाते हैं?",
        "{territory} की मुद्रा “{currency}” का अंतरराष्ट्रीय कोड क्या है?",
    ),
    "currencies_of_territory_pair": (
        "यात्री को पहले {a} और फिर {b} के लिए कौन-सी मुद्राएँ चाहिए?",
        "{a} में लोग किससे भुगतान करते हैं, और {b} में किससे?",
    ),
    "scripts_of_language_pair": (
        "{a} और {b} किन लिपियों में लिखी जाती हैं?",
        "{a} पढ़ने के लिए कौन-से अक्षर सीखने होंगे, और {b} के लिए कौन-से?",
    ),
    "weekdays_of_month": (
        "{month} {year} में {weekday} किन तारीखों को पड़ता है?",
        "मेरी कक्षा हर {weekday} को होती है। {month} {year} में यह कब है?",
    ),
    "time_in_other_city": (
        "{a} में {weekday}, {time} का समय है। {b} में क्या समय है?",
        "{a} के समय के अनुसार कॉल {weekday}, {time} पर शुरू होगी: {b} के सहकर्मी के लिए यह कब है?",
    ),
    "unit_conversion": (
        "{amount} को {unit} में व्यक्त करें तो कितना होगा?",
        "{amount} को {unit} में बदलने पर क्या मिलेगा?",
    ),
}

FACTS = {
    "currency": ("{territory} में लोग इससे भुगतान करते हैं: {currency}।", "{territory} की मुद्रा {currency} है।"),
    "region": ("{territory} का संबंध {region} क्षेत्र से है।", "नक्शे पर {territory} का स्थान {region} में है।"),
    "languages": (
        "{territory} में आधिकारिक भाषा: {languages}।",
        "{territory} के आधिकारिक भाषा-प्रयोग में शामिल है: {languages}।",
    ),
    "territory_code": (
        "इसका दो अक्षरों वाला देश कोड {code} है।",
        "अंतरराष्ट्रीय मानक इस क्षेत्र को संक्षेप में {code} लिखते हैं।",
    ),
    "currency_code": ("“{currency}” का कोड {code} है।", "बैंक “{currency}” के लिए {code} लिखते हैं।"),
    "script": ("{language} इस लिपि में लिखी जाती है: {script}।", "{language} की सामान्य लिपि {script} है।"),
    "language_code": ("{language} का भाषा कोड {code} है।", "सॉफ़्टवेयर {language} को {code} से दर्शाता है।"),
    "weekday_dates": (
        "{month} {year} में {weekday} इन दिनों को पड़ता है: {days}।",
        "{weekday}, {month} {year} के इन दिनों को आता है: {days}।",
    ),
    "first_date": ("इनमें पहली तारीख है: {date}।", "यह क्रम ऐसे शुरू होता है: {date}।"),
    "month_start": (
        "महीना {weekday} को शुरू होता है और {length} तक चलता है।",
        "महीने में {length} हैं और उसका पहला दिन {weekday} है।",
    ),
    "time": (
        "जब {a} की घड़ियाँ {weekday_a}, {time_a} दिखाती हैं, तब {b} में {weekday_b}, {time_b} होता है।",
        "{a} में {weekday_a}, {time_a} और {b} में {weekday_b}, {time_b} एक ही क्षण है।",
    ),
    "offset": (
        "मानक समय में {city} {offset} का पालन करता है।",
        "{city} का मानक समय {offset} है।",
    ),
    "conversion": ("{amount} बराबर {result}।", "{result} और {amount} एक ही हैं।"),
    "conversion_of_one": ("नियम: {one} बराबर {result}।", "तुलना के लिए: {one} में {result}।"),
}
