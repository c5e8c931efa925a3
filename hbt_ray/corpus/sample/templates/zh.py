"""Chinese phrasings; sentences follow each other without a space."""

BETWEEN_SENTENCES = ""

QUESTIONS = {
    "currency_of_territory": (
        "在{region}的{territory}，人们用什么钱付款？",
        "{territory}（{region}）的法定货币是哪一种？",
    ),
    "languages_of_territory": (
        "在{region}的{territory}，官方场合说什么话？",
        "哪些语言在{territory}（{region}）具有官方地位？",
    ),
    "code_of_currency": (
        "往{territory}银行转账时，哪三个字母表示{currency}？",
        "{territory}的货币{currency}的国际代码是什么？",
    ),
    "currencies_of_territory_pair": (
        "旅行者先去{a}再去{b}，需要哪些货币？",
        "{a}用什么付款？{b}又用什么付款？",
    ),
    "scripts_of_language_pair": (
        "{a}和{b}用哪些文字书写？",
        "读{a}要学哪些字母？读{b}又要学哪些？",
    ),
    "weekdays_of_month": (
        "{year}年{month}的{weekday}是哪几天？",
        "我的课总在{weekday}。{year}年{month}里是哪几号？",
    ),
    "time_in_other_city": (
        "{a}现在是{weekday}{time}。{b}是几点？",
        "电话会议在{a}时间{weekday}{time}开始，对{b}的同事来说是什么时候？",
    ),
    "unit_conversion": (
        "{amount}换成{unit}是多少？",
        "把{amount}换算成以{unit}为单位，得到什么？",
    ),
}

FACTS = {
    "currency": ("在{territory}，人们用{currency}付款。", "{territory}的货币是{currency}。"),
    "region": ("{territory}属于{region}地区。", "在地图上，{territory}位于{region}。"),
    "languages": ("{territory}的官方语言：{languages}。", "{territory}官方使用的语言包括{languages}。"),
    "territory_code": ("它的两字母国家代码是{code}。", "国际标准把该地区缩写为{code}。"),
    "currency_code": ("{currency}的代码是{code}。", "银行用{code}表示{currency}。"),
    "script": ("{language}用这种文字书写：{script}。", "{language}通常使用的文字是{script}。"),
    "language_code": ("{language}的语言代码是{code}。", "软件用{code}标记{language}。"),
    "weekday_dates": (
        "{year}年{month}，{weekday}落在这些日子：{days}。",
        "{weekday}在{year}年{month}的以下日子出现：{days}。",
    ),
    "first_date": ("其中第一个日期是{date}。", "这一系列从{date}开始。"),
    "month_start": ("这个月从{weekday}开始，共{length}。", "这个月有{length}，第一天是{weekday}。"),
    "time": (
        "当{a}的时钟显示{weekday_a}{time_a}时，{b}是{weekday_b}{time_b}。",
        "{a}的{weekday_a}{time_a}与{b}的{weekday_b}{time_b}是同一时刻。",
    ),
    "offset": ("按标准时间，{city}采用{offset}。", "{city}的标准时间是{offset}。"),
    "conversion": ("{amount}等于{result}。", "{result}就是{amount}。"),
    "conversion_of_one": ("规则：{one}是{result}。", "作为比较，{one}合{result}。"),
}
