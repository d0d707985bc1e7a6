"""Records with one id: the first is kept, and different texts under one id raise an alarm."""

import json
from collections.abc import Callable
from pathlib import Path

from dedup_cases import Fates, make_id, make_row

from dedup.same_record import SameRecordConfig
from shards.sink import open_arrow

SAME_RECORD = SameRecordConfig(name="same_record")
Make, Resolve = Callable[..., list], Callable[..., Fates]


def test_a_record_that_was_read_twice_is_kept_where_it_came_first(
    make_units: Make, resolve: Resolve, tmp_path: Path
) -> None:
    names = [1, 2, 3, 2, 4, 1, 2]
    units = make_units([make_row(name, "t", warc_offset=k) for k, name in enumerate(names)], 3)
    assert resolve(SAME_RECORD, units[::-1]) == {make_id(name): (make_id(name), 1.0) for name in (1, 2)}
    rows = {p.stem: open_arrow(p).read_all()["row"].to_pylist() for p in (tmp_path / "out").glob("*.arrow")}
    assert rows == {units[1].key: [0, 2], units[2].key: [0]}


def test_different_records_are_kept(make_units: Make, resolve: Resolve) -> None:
    assert resolve(SAME_RECORD, make_units([make_row(k) for k in range(1_000)], 300)) == {}
    assert resolve(SAME_RECORD, [], "none") == {}


def test_different_texts_under_one_id_are_kept_and_raise_an_alarm(
    make_units: Make, resolve: Resolve, tmp_path: Path
) -> None:
    rows = [make_row(1, "a"), make_row(1, "a"), make_row(2, "a"), make_row(2, "b"), make_row(2, "b"), make_row(3, "a")]
    assert resolve(SAME_RECORD, make_units(rows, 2)) == {make_id(1): (make_id(1), 1.0), make_id(2): (make_id(2), 1.0)}
    removed = {p.stem: open_arrow(p).read_all()["row"].to_pylist() for p in (tmp_path / "out").glob("*.arrow")}
    assert removed == {"web-00000-000": [1], "web-00002-000": [0]}
    (alarm,) = json.loads((tmp_path / "out" / "alarms.json").read_text())
    assert (alarm["ids"], alarm["example"]) == (1, make_id(2))
    resolve(SAME_RECORD, make_units([make_row(1, "a"), make_row(1, "a")], name="equal"), "equal")
    assert not (tmp_path / "equal" / "alarms.json").exists()


def test_no_text_is_an_empty_text(make_units: Make, resolve: Resolve) -> None:
    assert resolve(SAME_RECORD, make_units([make_row(1, None), make_row(1, "")])) == {make_id(1): (make_id(1), 1.0)}


def test_ids_that_share_their_first_digits_are_different_ids(
    make_units: Make, resolve: Resolve, tmp_path: Path
) -> None:
    rows = [make_row(k, f"text {k}") | {"id": f"{k:032x}"} for k in range(6)]
    assert resolve(SAME_RECORD, make_units(rows, 4)) == {}
    assert not (tmp_path / "out" / "alarms.json").exists()
    rows += [rows[3], rows[2] | {"text": "another text"}, rows[5] | {"text": "another text"}]
    assert resolve(SAME_RECORD, make_units(rows, 4, name="more"), "more") == {rows[3]["id"]: (rows[3]["id"], 1.0)}
    (alarm,) = json.loads((tmp_path / "more" / "alarms.json").read_text())
    assert (alarm["ids"], alarm["example"]) == (2, rows[2]["id"])
