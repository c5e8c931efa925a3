"""Thai phrasings; sentences end without a mark and are separated by a space."""

QUESTIONS = {
    "currency_of_territory": (
        "ผู้คนใช้เงินอะไรจ่ายใน{territory} ซึ่งเป็นส่วนหนึ่งของ{region}",
        "สกุลเงินใดใช้ชำระหนี้ได้ตามกฎหมายใน{territory} ({region})",
    ),
    "languages_of_territory": (
        "ผู้คนพูดอะไรอย่างเป็นทางการใน{territory} ซึ่งเป็นส่วนหนึ่งของ{region}",
        "ภาษาใดมีสถานะเป็นทางการใน{territory} ({region})",
    ),
    "code_of_currency": (
        "อักษรสามตัวใดแทน{currency} เมื่อโอนเงินผ่านธนาคารไปยัง{territory}",
        "รหัสสากลของ{currency} ซึ่งเป็นเงินของ{territory} คืออะไร",
    ),
    "currencies_of_territory_pair": (
        "นักเดินทางต้องใช้สกุลเงินใดสำหรับ{a} แล้วต่อด้วย{b}",
        "ผู้คนจ่ายด้วยอะไรใน{a} และจ่ายด้วยอะไรใน{b}",
    ),
    "scripts_of_language_pair": (
        "ภาษา{a}และภาษา{b}เขียนด้วยอักษรใด",
        "ฉันต้องเรียนตัวหนังสือใดเพื่ออ่านภาษา{a} และตัวใดสำหรับภาษา{b}",
    ),
    "weekdays_of_month": (
        "{weekday}ตรงกับวันที่เท่าไรในเดือน{month} ปี {year}",
        "ฉันมีเรียนทุก{weekday} ในเดือน{month} ปี {year} ตรงกับวันไหนบ้าง",
    ),
    "time_in_other_city": (
        "ขณะนี้เป็น{weekday} เวลา {time} ใน{a} ที่{b}เป็นเวลากี่โมง",
        "การโทรเริ่ม{weekday} เวลา {time} ตามเวลา{a} สำหรับเพื่อนร่วมงานใน{b}คือเมื่อไร",
    ),
    "unit_conversion": (
        "{amount} เท่ากับเท่าไรเมื่อคิดเป็น{unit}",
        "ถ้าแปลง {amount} เป็น{unit} จะได้เท่าไร",
    ),
}

FACTS = {
    "currency": ("ใน{territory} ผู้คนจ่ายด้วย{currency}", "สกุลเงินของ{territory}คือ{currency}"),
    "region": ("{territory}อยู่ในภูมิภาค{region}", "บนแผนที่ {territory}ตั้งอยู่ใน{region}"),
    "languages": (
        "ภาษาทางการใน{territory}: {languages}",
        "การใช้ภาษาอย่างเป็นทางการของ{territory}ประกอบด้วยภาษา{languages}",
    ),
    "territory_code": (
        "รหัสประเทศสองตัวอักษรคือ {code}",
        "มาตรฐานสากลย่อชื่อดินแดนนี้ว่า {code}",
    ),
    "currency_code": ("รหัสของ{currency}คือ {code}", "ธนาคารเขียน {code} แทน{currency}"),
    "script": ("ภาษา{language}เขียนด้วยอักษรนี้: {script}", "อักษรที่ใช้ตามปกติของภาษา{language}คือ{script}"),
    "language_code": ("รหัสภาษาของภาษา{language}คือ {code}", "ซอฟต์แวร์ระบุภาษา{language}ด้วย {code}"),
    "weekday_dates": (
        "ในเดือน{month} ปี {year} {weekday}ตรงกับวันที่ {days}",
        "{weekday}มาถึงในวันต่อไปนี้ของเดือน{month} ปี {year}: {days}",
    ),
    "first_date": ("วันแรกคือ {date}", "ลำดับวันเริ่มดังนี้: {date}"),
    "month_start": (
        "เดือนนี้เริ่มใน{weekday} และยาว {length}",
        "เดือนนี้มี {length} และวันแรกคือ{weekday}",
    ),
    "time": (
        "เมื่อนาฬิกาใน{a}แสดง{weekday_a} {time_a} ใน{b}จะเป็น{weekday_b} {time_b}",
        "{weekday_a} {time_a} ใน{a} คือขณะเดียวกับ{weekday_b} {time_b} ใน{b}",
    ),
    "offset": (
        "ตามเวลามาตรฐาน {city}ใช้ {offset}",
        "เวลามาตรฐานของ{city}คือ {offset}",
    ),
    "conversion": ("{amount} เท่ากับ {result}", "{result} ก็คือ {amount}"),
    "conversion_of_one": ("กฎคือ {one} เป็น {result}", "เพื่อเปรียบเทียบ {one} เท่ากับ {result}"),
}
