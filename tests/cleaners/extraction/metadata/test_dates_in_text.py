"""Dates in the languages and forms of pages."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.extraction.metadata.dates_in_text import parse_date, read_date


@pytest.mark.parametrize(
    "text",
    [
        "2020-03-05T23:59:00+02:00",
        "20200305",
        "2020/3/5",
        "March 5, 2020",
        "Mar. 5th, 2020 at 10:15",
        "Tue, 05 Mar 2020 10:00:00 GMT",
        "5-Mar-2020",
        "5th of March 2020",
        "5. März 2020",
        "Donnerstag, 5. Maerz 2020, 15:44 Uhr",
        "le 5 mars 2020 à 10h",
        "5 de marzo de 2020",
        "5 de março de 2020",
        "5 marzo 2020",
        "5 maart 2020",
        "5 марта 2020 г.",
        "5 березня 2020",
        "5 марта 2020, 10:15",
        "5 marca 2020",
        "5. března 2020",
        "5. ožujka 2020.",
        "5 mars 2020",
        "5. marts 2020",
        "5. maaliskuuta 2020",
        "5 Mart 2020",
        "2020. március 5.",
        "2020 m. kovo 5 d.",
        "2020. gada 5. marts",
        "5 martie 2020",
        "5 Μαρτίου 2020",
        "5 Μαρ 2020",
        "5 مارس 2020",
        "٥ مارس ٢٠٢٠",
        "5 במרץ 2020",
        "2020年3月5日 10:15",
        "2020년 3월 5일",
        "ngày 5 tháng 3 năm 2020",
        "5 Maret 2020",
        "05.03.2020",
        "5.3.20",
    ],
)
def test_one_day_in_many_languages(text: str) -> None:
    assert parse_date(text) == datetime.date(2020, 3, 5)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2020-03-17T23:59:00+02:00", "2020-03-17"),
        ("1er août 2019", "2019-08-01"),
        ("1η Μαΐου 2021", "2021-05-01"),
        ("12 мая 2013", "2013-05-12"),
        ("30 grudnia 2013", "2013-12-30"),
        ("28 février 2014", "2014-02-28"),
        ("2 Ağustos 2014", "2014-08-02"),
        ("2020-13-40", None),
        ("31 February 2020", None),
        ("15 Marathons 2014", None),
        ("soon", None),
        ("", None),
        ("call 555-03-2020", None),
        ("12345678901", None),
    ],
)
def test_other_days_and_texts_without_one(text: str, date: str | None) -> None:
    found = parse_date(text)
    assert (found.isoformat() if found else None) == date


@pytest.mark.parametrize(
    ("text", "language", "date"),
    [
        ("03/04/2020", "", None),
        ("03/04/2020", "en", None),
        ("03/04/2020", "en-US", "2020-03-04"),
        ("03/04/2020", "en-GB", "2020-04-03"),
        ("03/04/2020", "fr", "2020-04-03"),
        ("13/04/2020", "", "2020-04-13"),
        ("04/13/2020", "", "2020-04-13"),
        ("04/04/2020", "", "2020-04-04"),
        ("03.04.2020", "en-US", "2020-04-03"),
        ("03/04/20", "fr", None),
    ],
)
def test_the_language_says_whether_the_day_comes_first(text: str, language: str, date: str | None) -> None:
    found = parse_date(text, language)
    assert (found.isoformat() if found else None) == date


def test_a_month_is_that_of_the_language_of_the_page() -> None:
    assert parse_date("5. listopada 2020", "hr") == datetime.date(2020, 10, 5)
    assert parse_date("5 listopada 2020", "pl") == parse_date("5 listopada 2020") == datetime.date(2020, 11, 5)


def test_a_stamp_with_an_offset_has_a_moment() -> None:
    local = read_date("2020-03-05T01:30:00+09:00")
    assert local is not None
    assert not local.is_utc
    assert (local.day.isoformat(), local.day_of_utc().isoformat()) == ("2020-03-05", "2020-03-04")
    utc = read_date("2020-03-05T01:30:00Z")
    assert utc is not None
    assert utc.is_utc
    bare = read_date("2020-03-05T01:30:00")
    assert bare is not None
    assert bare.moment is None
    assert bare.day_of_utc() == bare.day
    edge = read_date("0001-01-01T00:00+09:00")
    assert edge is not None
    assert edge.moment is None


def test_raised_digits_are_no_month() -> None:
    assert parse_date("5 ²²² 2020") is None


@given(st.text(max_size=150), st.sampled_from(["", "en-US", "hr", "xx"]))
def test_no_text_raises(text: str, language: str) -> None:
    read_date(text, language)


@given(st.text(alphabet="0123456789-/. :TZ+年月日janmarдекέ", max_size=40))
def test_no_mixture_of_parts_raises(text: str) -> None:
    read_date(text, "de")
