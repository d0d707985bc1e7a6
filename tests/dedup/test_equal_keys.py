"""The same record, the same URL, the same text."""

import random
from collections.abc import Callable

import pyarrow as pa
import pytest
from dedup_cases import Fates, make_id, make_row
from hypothesis import given
from hypothesis import strategies as st

from dedup.documents import format_ids, parse_ids
from dedup.exact import ExactConfig
from dedup.same_record import SameRecordConfig
from dedup.url_dedup import UrlDedupConfig
from dedup.url_keys import normalized
from shards.errors import RunError
from shards.sink import open_arrow

SAME_RECORD = SameRecordConfig(name="same_record")
Make, Resolve = Callable[..., list], Callable[..., Fates]


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_ids_come_back_as_they_were(raw: list[bytes]) -> None:
    ids = [r.hex() for r in raw]
    array = pa.array(["f" * 32, *ids], pa.string())[1:]
    assert format_ids(parse_ids(array)).to_pylist() == ids


@pytest.mark.parametrize("bad", ["", "abc", "g" * 32, "0" * 31 + " ", "0" * 64])
def test_an_id_that_is_not_32_hex_digits_is_an_error(bad: str) -> None:
    with pytest.raises(RunError, match="32 hex digits"):
        parse_ids(pa.array(["0" * 32, bad]))


def test_a_record_given_twice_stays_where_it_came_first(make_units: Make, resolve: Resolve, tmp_path) -> None:
    names = [1, 2, 3, 2, 4, 1, 2]
    units = make_units([make_row(name, "t", warc_offset=k) for k, name in enumerate(names)], 3)
    assert resolve(SAME_RECORD, units[::-1]) == {make_id(name): (make_id(name), 1.0) for name in (1, 2)}
    rows = {p.stem: open_arrow(p).read_all()["row"].to_pylist() for p in (tmp_path / "out").glob("*.arrow")}
    assert rows == {units[1].key: [0, 2], units[2].key: [0]}


def test_different_records_stay(make_units: Make, resolve: Resolve) -> None:
    assert resolve(SAME_RECORD, make_units([make_row(k) for k in range(1_000)], 300)) == {}
    assert resolve(SAME_RECORD, [], "none") == {}


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
def test_normalizing_twice_changes_nothing_more(url: str) -> None:
    once = normalized(url)
    assert normalized("http:" + once if once.startswith("//") else once) == once


@pytest.mark.parametrize(("keep", "kept"), [("newest", "new"), ("oldest", "old"), ("first", "front")])
def test_of_one_url_the_policy_names_the_one_that_stays(make_units: Make, resolve: Resolve, keep, kept: str) -> None:
    dates = {"front": "2021", "old": "2020-01-01T00:00:00Z", "new": "2022-05-05", "undated": ""}
    rows = [make_row(name, url="http://e.org/", date=date) for name, date in dates.items()]
    rows += [make_row("other", url="http://e.org/2"), make_row("no url"), make_row("none either")]
    fates = resolve(UrlDedupConfig(name="url", keep=keep), make_units(rows, 2))
    assert fates == {make_id(name): (make_id(kept), 1.0) for name in dates if name != kept}


def test_ties_fall_by_id_and_not_by_place(make_units: Make, resolve: Resolve) -> None:
    rows = [make_row(k, "text", url="http://e.org/") for k in range(50)]
    for config in (UrlDedupConfig(name="url"), ExactConfig(name="exact")):
        first = resolve(config, make_units(rows, 7, "some"), f"{config.name}-some")
        shuffled = make_units(random.Random(1).sample(rows, 50), 50, "one")
        assert resolve(config, shuffled, f"{config.name}-one") == first
        assert {twin for twin, _ in first.values()} == {min(row["id"] for row in rows)}


def test_equal_texts_differ_at_most_in_case_and_white_space(make_units: Make, resolve: Resolve) -> None:
    texts = ["A b\n\nc ", "a  B c", "a bc", "a b c.", "", "", " \n", None, "中 文", "中文", "中\u3000文"]
    rows = [make_row(k, text) for k, text in enumerate(texts)]
    assert resolve(ExactConfig(name="exact"), make_units(rows, 4), "folded") == {
        make_id(1): (make_id(0), 1.0),
        **{make_id(a): (make_id(b), 1.0) for a, b in [sorted((8, 10), key=make_id, reverse=True)]},
    }
    rows.append(make_row("again", "a  B c"))
    fates = resolve(ExactConfig(name="exact", normalize="none"), make_units(rows, 5, "bytes"), "bytes")
    (twin,) = {make_id(1), make_id("again")} - set(fates)
    assert set(fates.values()) == {(twin, 1.0)}
