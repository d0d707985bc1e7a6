"""JSON lines in gzip with a flipped byte: the file is named, and the others are read."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_broken_files_are_listed_and_whole_ones_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("07", tmp_path))
    run = run_case(tmp_path)
    files = [row["warc_file"] for row in run.rows()]
    assert files.count("whole.jsonl.gz") == 60
    told = [line for line in run.lines() if line.startswith("damaged: ")]
    assert any("altered.jsonl.gz" in line and "may be altered, fetch it again" in line for line in told)
    assert any("broken.jsonl.gz" in line and "Error -3" in line for line in told)
