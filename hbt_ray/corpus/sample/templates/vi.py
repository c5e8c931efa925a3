"""Vietnamese phrasings; CLDR's language names carry their "Tiếng" and its script names their "Chữ"."""

QUESTIONS = {
    "currency_of_territory": (
        "Người ta trả bằng tiền gì ở {territory}, thuộc {region}?",
        "Đơn vị tiền tệ nào là hợp pháp tại {territory} ({region})?",
    ),
    "languages_of_territory": (
        "Người ta chính thức nói gì ở {territory}, thuộc {region}?",
        "Những ngôn ngữ nào có địa vị chính thức tại {territory} ({region})?",
    ),
    "code_of_currency": (
        "Ba chữ cái nào chỉ {currency} khi chuyển khoản ngân hàng đến {territory}?",
        "Mã quốc tế của {currency}, tiền của {territory}, là gì?",
    ),
    "currencies_of_territory_pair": (
        "Khách du lịch cần những loại tiền nào cho {a} rồi sau đó cho {b}?",
        "Người ta trả bằng gì ở {a}, và bằng gì ở {b}?",
    ),
    "scripts_of_language_pair": (
        "{a} và {b} được viết bằng hệ chữ nào?",
        "Tôi phải học những chữ nào để đọc {a}, và những chữ nào để đọc {b}?",
    ),
    "weekdays_of_month": (
        "{weekday} rơi vào những ngày nào trong {month} năm {year}?",
        "Lớp của tôi học mỗi {weekday}. Đó là khi nào trong {month} năm {year}?",
    ),
    "time_in_other_city": (
        "Bây giờ là {weekday}, {time} ở {a}. Ở {b} là mấy giờ?",
        "Cuộc gọi bắt đầu vào {weekday} lúc {time} ở {a}: đó là khi nào với đồng nghiệp ở {b}?",
    ),
    "unit_conversion": (
        "{amount} là bao nhiêu nếu tính bằng {unit}?",
        "Tôi được gì khi đổi {amount} sang {unit}?",
    ),
}

FACTS = {
    "currency": ("Ở {territory} người ta trả bằng {currency}.", "Đơn vị tiền tệ của {territory} là {currency}."),
    "region": ("{territory} thuộc khu vực {region}.", "Trên bản đồ, {territory} nằm ở {region}."),
    "languages": (
        "Ngôn ngữ chính thức tại {territory}: {languages}.",
        "Việc dùng ngôn ngữ chính thức của {territory} gồm {languages}.",
    ),
    "territory_code": (
        "Mã quốc gia hai chữ cái là {code}.",
        "Các tiêu chuẩn quốc tế viết tắt lãnh thổ này là {code}.",
    ),
    "currency_code": ("Mã của {currency} là {code}.", "Các ngân hàng viết {code} cho {currency}."),
    "script": ("{language} được viết bằng hệ chữ này: {script}.", "Hệ chữ thông thường của {language} là {script}."),
    "language_code": ("Mã ngôn ngữ của {language} là {code}.", "Phần mềm đánh dấu {language} bằng {code}."),
    "weekday_dates": (
        "Trong {month} năm {year}, {weekday} rơi vào các ngày: {days}.",
        "{weekday} đến vào những ngày sau của {month} năm {year}: {days}.",
    ),
    "first_date": ("Ngày đầu tiên là {date}.", "Chuỗi ngày bắt đầu như sau: {date}."),
    "month_start": (
        "Tháng này bắt đầu vào {weekday} và kéo dài {length}.",
        "Tháng này có {length}, ngày đầu tiên là {weekday}.",
    ),
    "time": (
        "Khi đồng hồ ở {a} chỉ {weekday_a}, {time_a} thì ở {b} là {weekday_b}, {time_b}.",
        "{weekday_a}, {time_a} ở {a} cùng lúc với {weekday_b}, {time_b} ở {b}.",
    ),
    "offset": (
        "Theo giờ chuẩn, {city} dùng {offset}.",
        "Giờ chuẩn của {city} là {offset}.",
    ),
    "conversion": ("{amount} bằng {result}.", "{result} cũng chính là {amount}."),
    "conversion_of_one": ("Quy tắc: {one} là {result}.", "Để so sánh, {one} bằng {result}."),
}
