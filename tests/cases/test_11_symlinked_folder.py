"""A folder of a crawl that holds links to folders, to itself and to nothing."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case


def test_linked_folders_are_read_once_and_a_link_to_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_case("11", tmp_path))
    Path("in").rename("elsewhere")
    Path("crawl").mkdir()
    Path("elsewhere/a.warc.gz").rename("crawl/a.warc.gz")
    for name, target in (("dump", "../elsewhere"), ("gone.warc.gz", "nowhere"), ("loop", "."), ("up", "..")):
        (Path("crawl") / name).symlink_to(target)
    run = run_case(tmp_path)
    assert [row["warc_file"] for row in run.rows()] == ["a.warc.gz", "dump/b.warc.gz"]
    says = "damaged: gone.warc.gz: offset 0: a link to nowhere, which is not there; mend or remove it"
    assert says in run.lines()
