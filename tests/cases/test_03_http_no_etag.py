"""A server that gives no ETag: size, and Last-Modified where there is one, stand for it in the fingerprint."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case
from http_server import serving

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.replay.apply import open_apply


def test_a_page_is_read_from_a_server_without_etag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("03", tmp_path))
    data = Path("in/one.warc.gz").read_bytes()
    with serving({"/one.warc.gz": data}, etag="") as site:
        run = run_case(tmp_path, f"source.paths={site.url}one.warc.gz")
        assert len(run.rows()) == 1
        ((name, about),) = run.folder.made_of().inputs.items()
        assert (name, about) == ("web/00000/one.warc.gz", (len(data), ""))
        site.modified = "Sat, 01 Jan 2022 00:00:00 GMT"
        run = run_case(tmp_path, f"source.paths={site.url}one.warc.gz", out="out-2")
        assert [*run.folder.made_of().inputs.values()] == [(len(data), site.modified)]


def test_a_run_of_it_can_be_applied_without_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("03", tmp_path))
    with serving({"/one.warc.gz": Path("in/one.warc.gz").read_bytes()}, etag="") as site:
        run = run_case(tmp_path, f"source.paths={site.url}one.warc.gz")
    applied = open_apply(run.folder.root, [], tmp_path / "applied", overwrite=False)
    execute(applied, InProcess(), lambda _: None)
    assert applied.digest == run.folder.made_of().digest
