"""A selection holds every place once, by file and offset."""

import random
from pathlib import Path

import pyarrow as pa
import pytest

from shards.index_rows import SCHEMA
from shards.ranges import Part
from shards.selection import OfFile, Place, input_file, is_inside, read_places, write_selection
from shards.storage import Chosen


def test_places_are_sorted_by_file_and_offset_each_once(tmp_path: Path) -> None:
    draw = random.Random(5)
    places = [(f"warc/{draw.randrange(200):03d}", draw.randrange(50) * 100, 100, "u") for _ in range(20_000)]
    rows = [dict(zip(SCHEMA.names, place, strict=True)) for place in places]
    batches = [pa.RecordBatch.from_pylist(rows[i : i + 3000], SCHEMA) for i in range(0, len(rows), 3000)]
    files = write_selection(batches, tmp_path / "all.arrow", tmp_path)
    assert [file.name for file in files] == sorted({name for name, *_ in places})
    for file in files:
        wanted = sorted({(offset, length) for name, offset, length, _ in places if name == file.name})
        found = read_places(tmp_path / "all.arrow", Chosen(file.first, file.num_records))
        assert found == [Place(Part(*place), "u") for place in wanted]
        assert file.num_bytes == 100 * len(wanted)
    again = write_selection(reversed(batches), tmp_path / "again.arrow", tmp_path)
    assert again == files
    assert (tmp_path / "again.arrow").read_bytes() == (tmp_path / "all.arrow").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.arrow", "all.arrow"]


@pytest.mark.parametrize(
    "name", ["", "/a", "../a", "a/../b", "a//b", "a/", "http://h/a", "C:a", "a\\b", "a\0b", "a\nb", "."]
)
def test_names_that_lead_elsewhere(name: str) -> None:
    assert not is_inside(name)
    for root in ("/data", "https://host/", "s3://bucket/"):
        file = input_file(root, OfFile(name, 0, 1, 1, ""))
        assert file.fault
        assert file.path == ""


def test_names_are_put_after_the_root() -> None:
    name = "crawl-data/a b#c?d.warc.gz"
    assert input_file("", OfFile(name, 0, 1, 1, "")).path == (
        "https://data.commoncrawl.org/crawl-data/a%20b%23c%3Fd.warc.gz"
    )
    assert input_file("s3://bucket", OfFile(name, 0, 1, 1, "")).path == f"s3://bucket/{name}"
    assert input_file("/data", OfFile(name, 0, 1, 1, "")).path == f"/data/{name}"
    assert input_file("https://h/x/", OfFile("https://h/x/a.gz", 0, 1, 1, "")).path == "https://h/x/a.gz"
