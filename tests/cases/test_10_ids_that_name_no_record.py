"""Missing ids, and ids that begin again: no document leaves as a record that was read twice."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case

SETTINGS = {
    "two folders": (),
    "nan in JSON": ("source.paths=nan/x.jsonl",),
    "nan in a table": ("source.kind=parquet", "source.paths=nan/x.parquet"),
    "joined": ("source.paths=joined",),
}
KEPT = {"two folders": 4, "nan in JSON": 3, "nan in a table": 3, "joined": 6}


@pytest.mark.parametrize("name", SETTINGS)
def test_documents_with_other_texts_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(copy_case("10", tmp_path))
    run = run_case(tmp_path, *SETTINGS[name])
    rows = run.rows()
    assert len({row["id"] for row in rows}) == len(rows) == KEPT[name]
    assert not run.dropped()
    originals = [row["original_id"] for row in rows]
    assert originals == {
        "two folders": ["1", "2"] * 2,
        "joined": ["1", "2"] * 3,
    }.get(name, [None] * 3)
