"""A connection that breaks in the middle of a body, three times."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case
from http_server import serving


def test_a_body_that_breaks_off_is_continued_where_it_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("05", tmp_path))
    with serving({"/one.warc.gz": Path("in/one.warc.gz").read_bytes()}, cuts=[452, 226, 113]) as site:
        run = run_case(tmp_path, f"source.paths={site.url}one.warc.gz")
        assert len(run.rows()) == 1
        assert [wanted for _, _, wanted in site.requests] == [
            "bytes=0-0",
            "bytes=0-903",
            "bytes=452-903",
            "bytes=678-903",
            "bytes=791-903",
        ]
