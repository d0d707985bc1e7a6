"""Records drawn at random from the inputs of a run."""

import gzip
import io
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard
from crawl import Crawl, article
from fastwarc.stream_io import Lz4Writer

from pipelines.preview.draw import documents_from, draw, lines_from, stored_records_from
from shards.storage import InputFile
from tests.cleaners.crawl.test_arc import as_input, read, small_arc, write


def test_records_drawn_from_an_arc_file_are_a_warc_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.arc.gz", small_arc(), gzipped=True)
    drawn = draw([as_input(path)], 4, 3, random.Random(0), partial(documents_from, kind="warc"))
    (tmp_path / "drawn.warc").write_bytes(b"".join(record.data for _, record in drawn))
    rows, reader = read(tmp_path / "drawn.warc")
    assert len(rows) == 4
    assert reader.damage == []
    of_the_arc = {row["id"]: row["payload"] for row in read(path)[0]}
    assert all(of_the_arc[row["id"]] == row["payload"] for row in rows)


def test_each_record_is_drawn_once_and_all_are_where_all_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"".join(b"%d\n" % number for number in range(50)))
    file = InputFile(str(tmp_path / "a.jsonl"), "a.jsonl", (tmp_path / "a.jsonl").stat().st_size)
    drawn = [record.data for _, record in draw([file], 50, 20, random.Random(1), lines_from)]
    assert len(drawn) == len(set(drawn)) == 50
    assert len(list(draw([file], 7, 20, random.Random(1), lines_from))) == 7


def lz4(data: bytes) -> bytes:
    frame = io.BytesIO()
    with Lz4Writer(frame) as writer:
        writer.write(data)
    return frame.getvalue()


def records(number: int) -> list[bytes]:
    return [Crawl(gzip=False).page(f"https://a.example/{i}", article(f"Page {i}")).data for i in range(number)]


SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
FORMS: dict[str, Callable[[list[bytes]], bytes]] = {
    "plain": b"".join,
    "a gzip member for each record": lambda parts: b"".join(gzip.compress(part) for part in parts),
    "a gzip member for two records": lambda parts: b"".join(
        gzip.compress(b"".join(parts[i : i + 2])) for i in range(0, len(parts), 2)
    ),
    "one gzip member": lambda parts: gzip.compress(b"".join(parts)),
    "a zstd frame for each record": lambda parts: b"".join(map(zstandard.compress, parts)),
    "one zstd frame": lambda parts: zstandard.compress(b"".join(parts)),
    "zstd after a skippable frame": lambda parts: SKIPPABLE + zstandard.compress(b"".join(parts)),
    "lz4": lambda parts: b"".join(map(lz4, parts)),
    "lz4 after a skippable frame": lambda parts: SKIPPABLE + lz4(b"".join(parts)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [1, 2, 7])
def test_every_record_of_a_file_of_any_form_is_drawn_once(tmp_path: Path, form: str, number: int) -> None:
    data = FORMS[form](records(number))
    (tmp_path / "a.warc").write_bytes(data)
    file = as_input(tmp_path / "a.warc")
    for records_from in (documents_from, stored_records_from):
        for wanted in (number, 200):
            drawn = [*draw([file], wanted, 20, random.Random(3), partial(records_from, kind="warc"))]
            (tmp_path / "part.warc").write_bytes(b"".join(record.data for _, record in drawn))
            rows, reader = read(tmp_path / "part.warc")
            assert sorted(row["url"] for row in rows) == [f"https://a.example/{i}" for i in range(number)]
            assert reader.damage == []


@pytest.mark.parametrize("form", FORMS)
def test_as_many_are_drawn_as_are_wanted(tmp_path: Path, form: str) -> None:
    (tmp_path / "a.warc").write_bytes(FORMS[form](records(30)))
    file = as_input(tmp_path / "a.warc")
    for wanted in (1, 3, 29):
        drawn = [*draw([file], wanted, 20, random.Random(3), partial(documents_from, kind="warc"))]
        assert len({record.identity for _, record in drawn}) == len(drawn) == wanted


def test_no_record_is_drawn_from_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(b'{"text": "no record"}\n')
    (tmp_path / "b.warc").write_bytes(b"".join(records(2)))
    files = [as_input(tmp_path / "a.warc"), as_input(tmp_path / "b.warc")]
    assert len([*draw(files, 9, 5, random.Random(0), partial(documents_from, kind="warc"))]) == 2
    assert [*draw(files, 9, 5, random.Random(0), partial(documents_from, kind="wet"))] == []
