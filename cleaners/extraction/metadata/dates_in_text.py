"""Dates as people and programs write them."""

import datetime
import re

_MAX_DATE_CHARS = 100  # no date is longer, and the search for months is quadratic in them
_ISO = re.compile(r"^\s*(\d{4})-?(\d{2})-?(\d{2})(?!\d)")
_NUMBERS = re.compile(r"^\D{0,12}(\d{4})\s*[./年년-]\s*(\d{1,2})\s*[./月월-]\s*(\d{1,2})(?!\d)")
_WORDS = re.compile(r"(\d{1,2})(?:st|nd|rd|th|\.|er)?\s+(?:de\s+)?([^\W\d]{3,})\.?,?\s+(?:de\s+|del\s+)?(\d{4})")
_WORD_FIRST = re.compile(r"([^\W\d]{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_MONTHS = {
    stem: number
    for number, stems in enumerate(
        (
            "jan ene янв sty gen oca", "feb fév fev февр фев lut şub", "mar mär мар", "apr avr abr апр kwi nis",
            "may mai mag мая май maj mei", "jun juin giu июн cze haz", "jul juil lug июл lip tem",
            "aug aoû aou ago авг sie ağu",
            "sep set сен wrz eyl", "oct okt ott out окт paź eki", "nov noy ноя lis kas", "dec dez déc dic дек gru ara",
        ),
        1,
    )
    for stem in stems.split()
}  # fmt: skip


def parse_date(text: str) -> datetime.date | None:
    """A date in ISO 8601, with the year first, or with the month by name. 03/04/2020 is ambiguous and so None."""
    text = text.strip()[:_MAX_DATE_CHARS]
    if match := _ISO.match(text) or _NUMBERS.match(text):
        year, month, day = map(int, match.groups())
    elif match := _WORDS.search(text):
        day, month, year = int(match[1]), _month(match[2]), int(match[3])
    elif match := _WORD_FIRST.search(text):
        day, month, year = int(match[2]), _month(match[1]), int(match[3])
    else:
        return None
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


def _month(word: str) -> int:
    word = word.lower()
    return next((_MONTHS[word[:n]] for n in (4, 3) if word[:n] in _MONTHS), 0)
