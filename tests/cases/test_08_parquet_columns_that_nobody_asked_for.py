"""Columns beside the text are not read, whatever they hold."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_columns_beside_the_text_end_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("08", tmp_path))
    runs = [run_case(tmp_path, f"source.paths=in/{f.name}", out=f.stem) for f in (tmp_path / "in").iterdir()]
    assert [len(run.rows()) for run in runs] == [2] * 8
    assert not [line for run in runs for line in run.lines() if line.startswith("damaged: ")]
