"""A zstd file with a window of 2 GB is read."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_its_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("34", tmp_path))
    rows = run_case(tmp_path).rows()
    assert rows
    assert all(row["text"] for row in rows)
