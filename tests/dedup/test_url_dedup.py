"""Normalised URLs, and the fetch that is kept of one URL."""

from collections.abc import Callable

import pytest
from dedup_cases import Fates, make_id, make_row
from hypothesis import given
from hypothesis import strategies as st

from dedup.url_dedup import UrlDedupConfig
from dedup.url_keys import normalized

Make, Resolve = Callable[..., list], Callable[..., Fates]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://WWW.Example.org:443/a%7eb?utm_source=x&id=2#top", "//example.org/a~b?id=2"),
        ("http://example.org", "//example.org/"),
        ("http://example.org:80?", "//example.org/"),
        ("http://example.org:443/", "//example.org:443/"),
        ("http://example.org./", "//example.org/"),
        ("http://example.org/A/", "//example.org/A/"),
        ("http://example.org/%e4%bd%a0", "//example.org/%E4%BD%A0"),
        ("http://example.org/你", "//example.org/%E4%BD%A0"),
        ("http://example.org/a b%2Fc%", "//example.org/a%20b%2Fc%"),
        ("http://bücher.example/", "//xn--bcher-kva.example/"),
        ("http://e.org/?b=1&a=2&a=1&GCLID=9&fbclid=3&&utm_=", "//e.org/?b=1&a=2&a=1"),
        ("http://e.org/?utm%5fsource=1&x", "//e.org/?x"),
        ("http://e.org/?utmost=1&ref=2", "//e.org/?utmost=1&ref=2"),
        ("http://e.org/#!/page", "//e.org/"),
        ("http://[::1]:80/x", "//[::1]/x"),
        ("ftp://e.org:80/x", "ftp://e.org:80/x"),
        ("urn:uuid:1", "urn:uuid:1"),
        ("  ", ""),
        ("http://" + "ü" * 70 + ".example/\0", "//" + "ü" * 70 + ".example/%00"),
    ],
)
def test_normalized_url(url: str, expected: str) -> None:
    assert normalized(url) == expected


@given(st.text() | st.text("htp:/?#&=%eE7~. a中").map("http://".__add__))
def test_normalising_twice_is_as_once(url: str) -> None:
    once = normalized(url)
    assert normalized("http:" + once if once.startswith("//") else once) == once


@pytest.mark.parametrize(("keep", "kept"), [("newest", "new"), ("oldest", "old"), ("first", "front")])
def test_the_policy_decides_which_fetch_of_a_url_is_kept(make_units: Make, resolve: Resolve, keep, kept: str) -> None:
    dates = {"front": "2021", "old": "2020-01-01T00:00:00Z", "new": "2022-05-05", "undated": ""}
    rows = [make_row(name, url="http://e.org/", date=date) for name, date in dates.items()]
    rows += [make_row("other", url="http://e.org/2"), make_row("no url"), make_row("none either")]
    fates = resolve(UrlDedupConfig(name="url", keep=keep), make_units(rows, 2))
    assert fates == {make_id(name): (make_id(kept), 1.0) for name in dates if name != kept}
