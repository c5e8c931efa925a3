"""The few facts that CLDR has and babel does not ship, and the vocabulary that the combinations draw on."""

from fractions import Fraction
from typing import Final

# UN M49 regions, as in CLDR's territory containment: region code -> the territories it holds.
_REGION_MEMBERS: Final = {
    "005": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
    "011": "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG",
    "013": "BZ CR GT HN MX NI PA SV",
    "014": "BI DJ ER ET KE KM MG MU MW MZ RE RW SC SO SS TZ UG YT ZM ZW",
    "015": "DZ EG EH LY MA SD TN",
    "017": "AO CD CF CG CM GA GQ ST TD",
    "018": "BW LS NA SZ ZA",
    "021": "BM CA GL PM US",
    "029": "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI",
    "030": "CN HK JP KP KR MN MO TW",
    "034": "AF BD BT IN IR LK MV NP PK",
    "035": "BN ID KH LA MM MY PH SG TH TL VN",
    "039": "AD AL BA ES GI GR HR IT ME MK MT PT RS SI SM VA XK",
    "053": "AU NF NZ",
    "054": "FJ NC PG SB VU",
    "057": "FM GU KI MH MP NR PW",
    "061": "AS CK NU PF PN TK TO TV WF WS",
    "143": "KG KZ TJ TM UZ",
    "145": "AE AM AZ BH CY GE IL IQ JO KW LB OM PS QA SA SY TR YE",
    "151": "BG BY CZ HU MD PL RO RU SK UA",
    "154": "AX DK EE FI FO GB GG IE IM IS JE LT LV NO SE SJ",
    "155": "AT BE CH DE FR LI LU MC NL",
}

REGION_OF_TERRITORY: Final = {
    territory: region for region, members in _REGION_MEMBERS.items() for territory in members.split()
}
"""Territory (ISO 3166 alpha-2) -> region (UN M49)."""

_PAIRED_TERRITORIES: Final = (
    "AR AU BD BR CA CH CL CN CU CZ DZ EG ES ET FR GB GR HU ID IN IR IT JP KE KR MA MX NG NO PE PK PL "
    "RU SA SE TH TR UA US VN ZA"
)
PAIRED_TERRITORIES: Final = tuple(_PAIRED_TERRITORIES.split())
"""Territories that take part in pairs, those of them that are on the train side."""

_PAIRED_LANGUAGES: Final = (
    "am ar bg bn de el en es fa fr gu he hi hy it ja ka km ko lo ml my pl pt ru ta te th tr uk ur vi zh"
)
PAIRED_LANGUAGES: Final = tuple(_PAIRED_LANGUAGES.split())
"""Languages that take part in pairs."""

UTC_OFFSETS: Final = {
    "Pacific/Honolulu": -600,
    "America/Los_Angeles": -480,
    "America/Chicago": -360,
    "America/New_York": -300,
    "America/Lima": -300,
    "America/Sao_Paulo": -180,
    "Europe/London": 0,
    "Africa/Lagos": 60,
    "Europe/Paris": 60,
    "Europe/Berlin": 60,
    "Europe/Madrid": 60,
    "Europe/Athens": 120,
    "Africa/Cairo": 120,
    "Europe/Istanbul": 180,
    "Europe/Moscow": 180,
    "Africa/Nairobi": 180,
    "Asia/Tehran": 210,
    "Asia/Dubai": 240,
    "Asia/Dhaka": 360,
    "Asia/Bangkok": 420,
    "Asia/Singapore": 480,
    "Asia/Shanghai": 480,
    "Asia/Tokyo": 540,
    "Australia/Sydney": 600,
}
"""Time zone -> minutes ahead of UTC in standard time, written down so that no time zone database is asked."""

UNIT_SIZES: Final = {
    "duration": {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800},
    "length": {"millimeter": 1, "centimeter": 10, "meter": 1000, "kilometer": 1000000},
    "mass": {"milligram": 1, "gram": 1000, "kilogram": 1000000},
    "volume": {"milliliter": 1, "liter": 1000},
}
"""CLDR unit group -> unit -> its size in the group's smallest unit; only conversions without rounding."""

AMOUNTS: Final = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 20, 24, 25, 30, 36, 40, 45, 50)
YEARS: Final = (2025, 2026, 2027, 2028, 2029, 2030)


def convert(amount: int, group: str, unit: str, into: str) -> int:
    """`amount` of the larger `unit` in the smaller unit `into`, exactly."""
    result = Fraction(amount * UNIT_SIZES[group][unit], UNIT_SIZES[group][into])
    assert result.denominator == 1, f"{unit} is not a whole number of {into}"
    return result.numerator
