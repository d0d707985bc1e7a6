"""A zstd file with a window of 2 GB is told with its remedy."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case

from shards.errors import RunError


def test_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("34", tmp_path))
    with pytest.raises(
        RunError, match=r"RS\.zst: offset 0: a zstd window .*: zstd -d --long=31; no document could be read"
    ):
        run_case(tmp_path)
