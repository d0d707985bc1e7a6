"""Columns of tables as values, whatever type stores them."""

from typing import Any

import pyarrow as pa
import pytest

from shards.table_columns import NoSuchColumn, find_column, is_text, plain, plain_type, texts, values

TEXTS = ["one", None, "три 三"]
TEXT_TYPES = [
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(),
    pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.large_string()),
    pa.run_end_encoded(pa.int32(), pa.string()), pa.json_(pa.string()),
]  # fmt: skip


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
def test_texts_of_every_type_are_read(kind: pa.DataType) -> None:
    column = pa.array([pa.scalar(text, pa.string()).as_py() for text in TEXTS])
    if pa.types.is_run_end_encoded(kind):
        column = pa.compute.run_end_encode(column)
    elif isinstance(kind, pa.BaseExtensionType):
        column = kind.wrap_array(column)
    else:
        column = column.cast(kind)
    assert column.type == kind
    assert is_text(plain(column).type)
    assert texts(plain(column)) == TEXTS
    assert is_text(plain_type(kind))


def test_a_column_without_any_value_holds_no_texts() -> None:
    assert is_text(pa.null())
    assert texts(pa.nulls(2)) == [None, None]


@pytest.mark.parametrize("kind", [pa.int64(), pa.list_(pa.string()), pa.struct([("text", pa.string())]), pa.bool_()])
def test_other_types_hold_no_text(kind: pa.DataType) -> None:
    assert not is_text(kind)


def test_offsets_that_are_broken_are_refused_before_they_are_followed() -> None:
    offsets = pa.array([0, 1_000_000_000, 2], pa.int32()).buffers()[1]
    column = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"ab")])
    with pytest.raises(pa.ArrowInvalid):
        texts(column)


@pytest.mark.parametrize(
    ("stored", "kind", "shown"),
    [
        (0, pa.timestamp("s"), "1970-01-01T00:00:00"),
        (1_500, pa.timestamp("ms"), "1970-01-01T00:00:01.5"),
        (1, pa.timestamp("ns", "UTC"), "1970-01-01T00:00:00.000000001Z"),
        (0, pa.timestamp("us", "Nowhere/Land"), "1970-01-01T00:00:00Z"),
        (727_000_000_000, pa.timestamp("s"), "25007-09-18T20:26:40"),
        (-99_999_999_999, pa.timestamp("s"), "-1199-02-15T14:13:21"),
        (1, pa.date32(), "1970-01-02"),
        (10_000_000_000, pa.time64("ns"), "00:00:10"),
        (None, pa.timestamp("ns"), None),
    ],
)
def test_times_are_iso_8601_with_any_unit_zone_and_year(stored: int | None, kind: pa.DataType, shown: str) -> None:
    storage = pa.int32() if kind == pa.date32() else pa.int64()
    assert values(pa.array([stored], storage).view(kind)) == [shown]


def test_a_far_date_in_a_list_is_an_error_of_the_column() -> None:
    column = pa.array([[2**31 - 1]], pa.list_(pa.int32())).cast(pa.list_(pa.int32()))
    column = pa.ListArray.from_arrays(column.offsets, column.values.view(pa.date32()))
    with pytest.raises(ValueError, match=r"^list<"):
        values(column)


def test_bytes_in_other_columns_are_shown() -> None:
    assert values(pa.array([b"a", b"\xff"])) == ["a", "\\xff"]


def test_a_name_with_a_dot_is_a_column_or_the_field_of_a_struct() -> None:
    row: dict[str, Any] = {"a.b": 1, "c": {"d": {"e": 2}}, "f": 3}
    batch = pa.RecordBatch.from_pylist([row])
    found = {name: find_column(batch, name) for name in ("a.b", "c.d.e", "c.x", "f.x", "a", "x.y")}
    assert {name: None if column is None else column.to_pylist() for name, column in found.items()} == {
        "a.b": [1], "c.d.e": [2], "c.x": None, "f.x": None, "a": None, "x.y": None,
    }  # fmt: skip
    doubled = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(NoSuchColumn, match="several columns are named 'a'"):
        find_column(doubled, "a")
