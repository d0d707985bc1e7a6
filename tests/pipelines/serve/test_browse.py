"""Queries of the ledger give the rows that a plain loop over all rows gives, page by page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.ledger.table import Ledger
from pipelines.serve import browse
from pipelines.serve.browse import Browser, Query, Range
from shards.errors import UserError

WORDS = "gopher_quality.word_count"


@pytest.fixture(scope="module")
def browser(run: Path) -> Browser:
    return Browser(Ledger.open(run))


@pytest.fixture(scope="module")
def rows(browser: Browser) -> list[dict[str, Any]]:
    return browser.ledger.rows(range(browser.ledger.num_rows))


def is_between(value: float | None, least: float, most: float) -> bool:
    return value is not None and least <= value <= most


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (Query(), lambda row: True),
        (Query(url="near.example/s"), lambda row: "near.example/s" in row["url"]),
        (Query(url=".*"), lambda row: False),
        (Query(host="url.example"), lambda row: "url.example/" in row["url"]),
        (Query(host="example"), lambda row: True),
        (Query(host="LONG.example"), lambda row: "//long.example" in row["url"]),
        (Query(host="ong.example"), lambda row: False),
        (Query(fate="kept"), lambda row: not row["drop_reasons"]),
        (Query(fate="dropped"), lambda row: bool(row["drop_reasons"])),
        (Query(fate="dedup.near"), lambda row: "dedup.near" in row["drop_reasons"]),
        (Query(ranges=(Range(WORDS, 50, 250),)), lambda row: is_between(row[WORDS], 50, 250)),
        (
            Query(ranges=(Range(WORDS, 50, None),), fate="kept"),
            lambda row: is_between(row[WORDS], 50, 1e9) and not row["drop_reasons"],
        ),
        (
            Query(ranges=(Range(WORDS, None, 250), Range("text_chars", 900, None))),
            lambda row: is_between(row[WORDS], 0, 250) and is_between(row["text_chars"], 900, 1e9),
        ),
    ],
)
def test_a_query_finds_what_a_loop_finds(
    browser: Browser, rows: list[dict[str, Any]], query: Query, matches: Any
) -> None:
    found = browser.matches(query)
    assert found.is_all
    assert found.rows.tolist() == [number for number, row in enumerate(rows) if matches(row)]


@pytest.mark.parametrize("descending", [False, True])
def test_rows_are_sorted_by_value_with_missing_ones_last(
    browser: Browser, rows: list[dict[str, Any]], descending: bool
) -> None:
    numbers = browser.matches(Query(sort=WORDS, descending=descending)).rows.tolist()
    values = [rows[number][WORDS] for number in numbers]
    measured = [value for value in values if value is not None]
    assert measured == sorted(measured, reverse=descending)
    assert values[len(measured) :] == [None] * (len(values) - len(measured))
    assert sorted(numbers) == list(range(len(rows)))


def test_pages_are_the_matches_in_parts(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "PAGE_ROWS", 4)
    query = Query(fate="kept", sort=WORDS)
    found = browser.matches(query)
    pages = [browser.page(query, number, ["url", WORDS]) for number in range(found.pages)]
    assert [row["row"] for page in pages for row in page] == found.rows.tolist()
    assert [row["url"] for row in pages[1]] == [r["url"] for r in browser.ledger.rows(found.rows[4:8].tolist())]
    assert browser.page(query, found.pages, ["url"]) == []


def test_more_rows_than_are_paged_over_are_said(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = browser.matches(Query(host="example", sort="text_chars")).rows
    monkeypatch.setattr(browse, "_MOST_ROWS", 3)
    for query in (Query(), Query(host="example"), Query(host="example", sort="text_chars")):
        fresh = Browser(browser.ledger).matches(query)
        assert (len(fresh.rows), fresh.is_all) == (3, False)
    assert np.array_equal(fresh.rows, whole[:3])


def test_few_queries_are_kept(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Browser(browser.ledger)
    asked = []
    find = Browser._find

    def noted(self: Browser, query: Query) -> browse.Matches:
        asked.append(query)
        return find(self, query)

    monkeypatch.setattr(Browser, "_find", noted)
    queries = [Query(url=letter) for letter in "abcde"]
    for query in (*queries[:2], *queries[:2], *queries, queries[0]):
        fresh.matches(query)
    assert asked == [*queries, queries[0]]


@pytest.mark.parametrize("query", [Query(sort="url"), Query(sort="none"), Query(ranges=(Range("id", 1, 2),))])
def test_a_column_without_numbers_is_refused(browser: Browser, query: Query) -> None:
    with pytest.raises(UserError, match="no column of numbers"):
        browser.matches(query)
    with pytest.raises(UserError, match="identified none"):
        browser.matches(Query(language="en"))
