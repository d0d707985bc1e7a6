from pathlib import Path

import pyarrow as pa
import pytest

from shards.errors import RunError
from shards.manifest import file_sha256
from shards.sink import BATCH_ROWS, ArrowSink, open_arrow, read_batches, read_table

SCHEMA = pa.schema([pa.field("n", pa.int64()), pa.field("text", pa.large_string())])


def rows(first: int, count: int) -> pa.RecordBatch:
    numbers = list(range(first, first + count))
    return pa.RecordBatch.from_pydict({"n": numbers, "text": [f"row {n}" for n in numbers]}, schema=SCHEMA)


def test_batches_are_recut_and_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    one, many = tmp_path / "one.arrow", tmp_path / "many.arrow"
    with ArrowSink(one, SCHEMA) as whole:
        whole.write(rows(0, 10_000))
    with ArrowSink(many, SCHEMA) as pieces:
        for first in range(0, 10_000, 100):
            pieces.write(rows(first, 100))
    assert whole.num_rows == pieces.num_rows == 10_000
    assert whole.sha256 == pieces.sha256 == file_sha256(one) == file_sha256(many)
    reader = open_arrow(many)
    assert [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)] == [BATCH_ROWS, BATCH_ROWS, 1808]
    assert reader.read_all()["n"].to_pylist() == list(range(10_000))


def test_an_error_inside_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with ArrowSink(tmp_path / "x.arrow", SCHEMA) as sink:
            sink.write(rows(0, 5000))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    with ArrowSink(path, SCHEMA) as sink:
        sink.write(rows(0, 5000))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"x\.arrow: not a whole Arrow file"):
        open_arrow(path)


def test_a_file_whose_body_is_damaged_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    with ArrowSink(path, SCHEMA) as sink:
        sink.write(rows(0, 5000))
    data = bytearray(path.read_bytes())
    data[500:-1000] = b"\xff" * (len(data) - 1500)
    path.write_bytes(data)
    for read in (lambda: read_table(path), lambda: read_table(path, ["n"]), lambda: list(read_batches(path))):
        with pytest.raises(RunError, match=r"x\.arrow: not a whole Arrow file .*; delete its manifest") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_columns_and_batches_are_chosen_in_the_order_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    with ArrowSink(path, SCHEMA) as sink:
        sink.write(rows(0, 5000))
    assert read_table(path, ["text", "n"]).column_names == ["text", "n"]
    assert [b.num_rows for b in read_batches(path, ["n"], [1, 0])] == [5000 - BATCH_ROWS, BATCH_ROWS]
    with pytest.raises(RunError, match=r"x\.arrow: has no column url"):
        open_arrow(path, ["n", "url"])
