"""The numbers in a text, whatever digits, separators and numerals it writes them in.

Where a space stands before three digits nothing says whether it groups one number (`12 500`) or keeps two apart
(`60 128`): such a chain has a reading for each way to cut it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Reading = tuple[str, ...]
Number = frozenset[Reading]
"""A chain of digits that may be one number: its readings, each a list of numbers."""

DIGITS = r"\d+(?:[.,٫٬’']\d+)*"
NUMBER = re.compile(DIGITS)
SPACES = " \u00a0\u2007\u2009\u202f"
CHAIN = re.compile(rf"(?<![\d.,٫٬’'])\d{{1,3}}(?:[{SPACES}]\d{{3}}){{1,3}}(?:[.,٫]\d+)*(?!\d)")
"""Up to twelve digits grouped by spaces, and decimals."""
SEPARATORS = re.compile(r"\D")
HAN_DIGITS = {
    char: digit
    for digit, chars in enumerate(
        ("〇零", "一壹", "二贰貳两兩", "三叁參", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖")
    )
    for char in chars
}
HAN_TENS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000, "廿": 20, "卅": 30}
HAN_MYRIADS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12}
HAN = "".join((*HAN_DIGITS, *HAN_TENS, *HAN_MYRIADS))
HAN_NUMBER = re.compile(rf"(?<![\d.,])[\d{HAN}]*[{HAN}][\d{HAN}]*")

LONGEST = 32
"""Characters of a numeral; longer ones are a loop of a model."""


def numbers_of(text: str) -> set[Number]:
    """Numbers with two digits or more, in ASCII digits without separators and leading zeros."""
    text = ascii_digits(text)
    chains: list[str] = []
    if CHAIN.search(text):
        chains = CHAIN.findall(text)
        text = CHAIN.sub(" ", text)
    plain = _several_digits(NUMBER.findall(text))
    return {frozenset({(number,)}) for number in plain} | {number for number in map(_readings, chains) if number}


def han_numbers(text: str) -> set[str]:
    """Numbers with two digits or more in Chinese numerals, also after digits (`12億5000万`); words have them too."""
    numerals = HAN_NUMBER.findall(ascii_digits(text))
    return set(_several_digits(str(_value(numeral)) for numeral in numerals if len(numeral) <= LONGEST))


def ascii_digits(text: str) -> str:
    """The digits of any script as those of ASCII."""
    return text if text.isascii() else re.sub(r"\d", lambda digit: str(int(digit[0])), text)


def _several_digits(numbers: Iterable[str]) -> Reading:
    bare = (SEPARATORS.sub("", number).lstrip("0") for number in numbers)
    return tuple(number for number in bare if len(number) > 1)


def _readings(chain: str) -> Number:
    ways = _cuts(re.split(f"[{SPACES}]", chain))
    return frozenset(reading for reading in map(_several_digits, ways) if reading)


def _cuts(groups: list[str]) -> Iterator[list[str]]:
    """All ways to join neighbours of a list."""
    yield ["".join(groups)]
    for cut in range(1, len(groups)):
        for rest in _cuts(groups[cut:]):
            yield ["".join(groups[:cut]), *rest]


def _value(numeral: str) -> int:
    """`一千二百五十` and `1250` are 1250, `二〇一四` is 2014, `12億5000万` is 1,250,000,000."""
    total = section = digits = 0
    for char in numeral:
        if char in HAN_TENS:
            section += HAN_TENS[char] if char in "廿卅" else (digits or 1) * HAN_TENS[char]
            digits = 0
        elif char in HAN_MYRIADS:
            total += (section + digits or 1) * HAN_MYRIADS[char]
            section = digits = 0
        else:
            digits = digits * 10 + (HAN_DIGITS[char] if char in HAN_DIGITS else int(char))
    return total + section + digits
