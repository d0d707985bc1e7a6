from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_an_http_head_whose_lines_end_in_cr_cr_lf_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("35", tmp_path))
    done = run_case(tmp_path)
    (text,) = done.texts().values()
    assert "The old mill by the river" in text
    assert done.dropped() == {}
