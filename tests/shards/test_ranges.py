"""Wanted parts of a file come in few requests, each with its bytes, whatever the server does."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from http_server import Site, serving
from hypothesis import given
from hypothesis import strategies as st
from s3_server import Proxy

from shards import mirror, ranges, remote
from shards.atomic import write_bytes
from shards.errors import RunError
from shards.ranges import MAX_GAP, MAX_SPAN, Missing, Part, read_parts, spans

DATA = random.Random(0).randbytes(3 << 20)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.0001)
    monkeypatch.setattr("shards.http_request.THROTTLED_WAIT_S", 0.0001)
    monkeypatch.setattr(ranges, "_with_ranges", set())


def parts_of(gap: int, length: int = 1000) -> list[Part]:
    return [Part(offset, length) for offset in range(0, len(DATA) - length, gap + length)]


def read(site: Site, parts: list[Part]) -> list[bytes | Missing]:
    return list(read_parts(f"{site.url}a.warc.gz", parts, 10_000))


@given(st.lists(st.tuples(st.integers(0, 2 * MAX_GAP), st.integers(1, MAX_SPAN + 5)), max_size=20))
def test_spans_hold_each_part_once_and_bridge_small_gaps_alone(gaps: list[tuple[int, int]]) -> None:
    parts, at = [], 0
    for gap, length in gaps:
        parts.append(Part(at + gap, length))
        at += gap + length
    found = list(spans(parts))
    assert [part for span in found for part in span] == parts
    for span in found:
        assert len(span) == 1 or span[-1].end - span[0].offset <= MAX_SPAN
        assert all(b.offset - a.end <= MAX_GAP for a, b in pairwise(span))
    for a, b in pairwise(found):
        assert b[0].offset - a[-1].end > MAX_GAP or b[0].end - a[0].offset > MAX_SPAN


@pytest.mark.parametrize("gap", [0, 10_000, MAX_GAP + 1])
def test_parts_come_in_their_order_in_few_requests(gap: int) -> None:
    parts = parts_of(gap)
    with serving({"/a.warc.gz": DATA}) as site:
        assert read(site, parts) == [DATA[part.offset : part.end] for part in parts]
        assert len(site.requests) == len(list(spans(parts)))


def test_a_server_without_ranges_sends_the_file_once() -> None:
    parts = parts_of(MAX_GAP + 1)
    with serving({"/a.warc.gz": DATA}, ranges=False) as site:
        assert read(site, parts) == [DATA[part.offset : part.end] for part in parts]
        assert len(site.requests) == 1


def test_a_part_beyond_the_end_takes_no_other_with_it() -> None:
    parts = [*parts_of(10)[-5:], Part(len(DATA) - 10, 20), Part(len(DATA) + 5, 3)]
    for about in ({}, {"ranges": False}, {"lengths": False}):
        with serving({"/a.warc.gz": DATA}, **about) as site:
            found = read(site, parts)
            assert found[:5] == [DATA[part.offset : part.end] for part in parts[:5]]
            assert found[5:] == [Missing("the file ends before these bytes; check offset and length")] * 2


def test_a_missing_file_is_missing_and_a_silent_server_ends_the_run() -> None:
    parts = parts_of(MAX_GAP + 1)
    with serving({}) as site:
        assert {type(part) for part in read(site, parts)} == {Missing}
        site.failures_of["/a.warc.gz"] = 503
        with pytest.raises(RunError, match="10 times in a row"):
            read(site, parts)


def test_a_part_that_a_living_server_does_not_send_is_missing() -> None:
    parts = parts_of(MAX_GAP + 1)
    with serving({"/a.warc.gz": DATA}) as site:
        site.refused_ranges = {f"bytes={parts[3].offset}-{parts[3].end - 1}"}
        found = read(site, parts)
        assert [i for i, part in enumerate(found) if isinstance(part, Missing)] == [3]


def test_files_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    parts = [Part(5, 10), Part(len(DATA), 1)]
    found = list(read_parts(str(tmp_path / "a"), parts, 1))
    assert found == [DATA[5:15], Missing("the file ends before these bytes; check offset and length")]
    assert list(read_parts(str(tmp_path / "b"), parts, 1)) == [Missing("no such file; check the root")] * 2


@pytest.mark.slow
def test_objects_of_a_store(s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{s3.folder}/a.warc.gz"
    write_bytes(mirror.local(url), DATA)
    parts = [*parts_of(MAX_GAP + 1), Part(len(DATA) + 5, 3)]
    assert list(read_parts(url, parts, 1)) == [
        *(DATA[part.offset : part.end] for part in parts[:-1]),
        Missing("the file ends before these bytes; check offset and length"),
    ]
    assert {type(part) for part in read_parts(f"{s3.folder}/b.warc.gz", parts, 1)} == {Missing}
