"""Phone numbers by country, and identity numbers whose check digits are right."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from cleaners.personal_data.region import Region, Span

Country = Literal["zh", "ru"]
Find = Callable[[Region], Iterator[Span]]

# Area codes of China: 010 and 02x of large cities, four digits elsewhere.
_CHINESE_AREA = "0(?:10|2[0-9]|(?:3[13579]|4[1-9]|5[1-9]|6[369]|7[0-9]|8[1-9]|9[0-79])[0-9]|349)"
_PHONES: dict[Country, str] = {
    # A mobile number, with or without +86; a fixed line with its area code and a hyphen, or the code in brackets.
    "zh": (
        r"(?:\+86[ -]?|(?<![0-9A-Za-z])(?:0086[ -]?)?)(?:1[3-9][0-9](?:[0-9]{8}|([ -])[0-9]{4}\1[0-9]{4})"
        rf"|0[1-9][0-9]{{1,2}}-[0-9]{{7,8}}|\({_CHINESE_AREA}\)[ -]?[0-9]{{3,4}}[ -]?[0-9]{{4}})"
        r"(?![0-9A-Za-z]|[.-][0-9])"
    ),
    # +7 or 8, an area code, seven digits; or the code in brackets and 3-2-2 digits. 11 digits without +, brackets or
    # hyphens could be anything.
    "ru": (
        r"(?:(?:\+7[ -]?(?:\([3489][0-9]{2}\)|[3489][0-9]{2})[ -]?"
        r"|(?<![0-9A-Za-z])8(?: ?\([3489][0-9]{2}\) ?|-[3489][0-9]{2}-| [3489][0-9]{2} ))"
        r"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{2}"
        r"|(?<![0-9A-Za-z])\([3489][0-9]{2}\) ?[0-9]{3}-[0-9]{2}-[0-9]{2})(?![0-9A-Za-z]|[.-][0-9])"
    ),
}
_CHINESE_ID = (
    r"(?<![0-9A-Za-z])[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
    r"(?![0-9A-Za-z])"
)
_SNILS = r"(?<![0-9A-Za-z-])[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}(?![0-9A-Za-z-])"
_INN = r"(?<![0-9A-Za-z])[0-9]{12}(?![0-9A-Za-z])"


def phones_of(country: Country) -> Find:
    return partial(_matches, re.compile(_PHONES[country]), lambda number: True)


def identity_numbers_of(country: Country) -> tuple[Find, ...]:
    return tuple(partial(_matches, re.compile(pattern), is_valid) for pattern, is_valid in _IDENTITY_NUMBERS[country])


def _matches(pattern: re.Pattern[str], is_valid: Callable[[str], bool], region: Region) -> Iterator[Span]:
    return (match.span() for match in pattern.finditer(region.text) if is_valid(match[0]))


def is_chinese_id(number: str) -> bool:
    """Whether the last of the 18 characters is the check digit of the others by ISO 7064 MOD 11-2, where X is ten."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return number[-1].upper() == "10X98765432"[sum(int(c) * w for c, w in zip(number, weights, strict=False)) % 11]


def is_snils(number: str) -> bool:
    """Whether the last two of the 11 digits are the check digits of Russia's pension number."""
    digits = [int(c) for c in number if c.isdigit()]
    check = sum(digit * (9 - i) for i, digit in enumerate(digits[:9])) % 101 % 100
    return any(digits) and digits[9] * 10 + digits[10] == check


def is_inn(number: str) -> bool:
    """Whether the last two of the 12 digits are the check digits of Russia's personal tax number."""
    digits = [int(c) for c in number]
    eleventh = sum(d * w for d, w in zip(digits, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8), strict=False)) % 11 % 10
    twelfth = sum(d * w for d, w in zip(digits, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8), strict=False)) % 11 % 10
    return any(digits) and digits[10:] == [eleventh, twelfth]


_IDENTITY_NUMBERS: dict[Country, tuple[tuple[str, Callable[[str], bool]], ...]] = {
    "zh": ((_CHINESE_ID, is_chinese_id),),
    "ru": ((_SNILS, is_snils), (_INN, is_inn)),
}
