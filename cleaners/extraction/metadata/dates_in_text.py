"""Dates as people and programs write them."""

import datetime
import re
from typing import NamedTuple

from cleaners.extraction.metadata.months import month_of

MAX_DATE_CHARS = 100  # no date is longer, and the search for months is quadratic in them
_CENTURY = 2000  # of years of two digits
_STAMP = re.compile(
    r"\s*(\d{4})-?(\d{2})-?(\d{2})(?!\d)"
    r"(?:[T ]\s*(\d{2}):?(\d{2})(?::?\d{2}(?:[.,]\d+)?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
_YEAR_FIRST = re.compile(r"(?<![\d.])(\d{4})\s*[./年년-]\s*(\d{1,2})\s*[./月월-]\s*(\d{1,2})(?!\d)")
_NUMBERS = re.compile(r"(?<![\d./-])(\d{1,2})\s?([./-])\s?(\d{1,2})\s?\2\s?(\d{4}|\d{2})(?![\d/-])")
_TEXTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # 5 March 2020, 5. März 2020, 1er août 2019, 5 de mayo de 2021, 5-Mar-2020
        r"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th|er|[ºª]|-?го|η|ης)?[.,/-]?\s*(?:de\s+|di\s+|d['’]|of\s+|ב)?"
        r"(?P<month>[^\W\d_]{3,})[.,/-]*\s*(?:del?\s+)?(?P<year>\d{4})(?!\d)",
        # March 5, 2020; Mar. 5th 2020
        r"(?P<month>[^\W\d_]{3,})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?:de\s+)?(?P<year>\d{4})(?!\d)",
        # 2020. március 5., 2020 m. kovo 5 d.
        r"(?<!\d)(?P<year>\d{4})(?:\.|\s*m\.)?,?\s+(?P<month>[^\W\d_]{3,})\s+(?P<day>\d{1,2})(?!\d)",
        # 2020. gada 5. marts
        r"(?<!\d)(?P<year>\d{4})\.?\s*gada\s+(?P<day>\d{1,2})\.\s*(?P<month>[^\W\d_]{3,})",
        # ngày 5 tháng 3 năm 2020
        r"(?<!\d)(?P<day>\d{1,2})\s+tháng\s+(?P<month>\d{1,2}),?\s+(?:năm\s+)?(?P<year>\d{4})(?!\d)",
    )
)
_MONTH_FIRST = {"en-us", "en-ph"}  # countries that write 03/25/2020
_EITHER = {"", "en", "en-ca"}


class Written(NamedTuple):
    """A date as it is written, with its moment where it has a time of day and an offset from UTC."""

    day: datetime.date
    moment: datetime.datetime | None = None  # in UTC
    is_utc: bool = False  # the offset is 0, so that it may be another day where it was written

    def day_of_utc(self) -> datetime.date:
        return self.moment.date() if self.moment else self.day


def parse_date(text: str, language: str = "") -> datetime.date | None:
    """The first date of a text; see `read_date`."""
    written = read_date(text, language)
    return written.day if written else None


def read_date(text: str, language: str = "") -> Written | None:
    """The first date of a text: in ISO 8601, with the year first, with the month by name, or in numbers alone.

    03/04/2020 is a date only if `language` (BCP 47) says whether the month comes first; 13/04/2020 always is one.
    """
    text = text.strip()[:MAX_DATE_CHARS]
    if not any(c.isdigit() for c in text):
        return None
    if match := _STAMP.match(text):
        return _stamped(*match.groups())
    if match := _YEAR_FIRST.search(text):
        return _written(*match.groups())
    for pattern in _TEXTS:
        for match in pattern.finditer(text):
            month = match["month"]
            month_number = int(month) if month.isdecimal() else month_of(month, language.lower().split("-")[0])
            if month_number and (written := _written(match["year"], month_number, match["day"])):
                return written
    return _of_numbers(text, language.lower())


def _of_numbers(text: str, language: str) -> Written | None:
    """A date of day, month and year, or of month, day and year. Nobody writes the month first before a dot."""
    for match in _NUMBERS.finditer(text):
        one, mark, two, year = match.groups()
        if len(year) == 2 and mark != ".":
            continue
        full_year = int(year) + (_CENTURY if len(year) == 2 else 0)
        if mark == "." or int(one) > 12 or (int(two) <= 12 and language not in _MONTH_FIRST | _EITHER):
            day, month = one, two
        elif int(two) > 12 or language in _MONTH_FIRST or one == two:
            day, month = two, one
        else:
            continue
        if written := _written(full_year, month, day):
            return written
    return None


def _written(year: str | int, month: str | int, day: str | int) -> Written | None:
    try:
        return Written(datetime.date(int(year), int(month), int(day)))
    except ValueError:
        return None


def _stamped(
    year: str, month: str, day: str, hour: str | None, minute: str | None, offset: str | None
) -> Written | None:
    written = _written(year, month, day)
    if written is None or hour is None or minute is None or offset is None:
        return written
    try:
        local = datetime.datetime.combine(written.day, datetime.time(int(hour), int(minute)))
        digits = offset[1:].replace(":", "") if offset[0] in "+-" else "0000"
        behind = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if offset[0] == "-" else 1)
        return Written(written.day, local - behind, not behind)
    except (ValueError, OverflowError):
        return written
