"""Inputs from disk, from a real S3 server (moto) and over HTTP."""

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from http_server import serving

from shards.errors import RunError, UserError
from shards.storage import find_inputs, open_input

WARC = (".warc.gz", ".warc")


def names(paths: list[str], suffixes: tuple[str, ...] = WARC) -> list[str]:
    return [f.name for f in find_inputs(paths, suffixes, "source.web.paths")]


@pytest.fixture
def crawl_folder(tmp_path: Path) -> Path:
    for name in ("b.warc.gz", "a.warc.gz", "deep/c.warc", "notes.txt"):
        path = tmp_path / "crawl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 1000)
    return tmp_path / "crawl"


def test_a_folder_gives_its_files_in_name_order_relative_to_it(crawl_folder: Path) -> None:
    assert names([str(crawl_folder)]) == ["a.warc.gz", "b.warc.gz", "deep/c.warc"]


def test_endings_count_in_either_case(crawl_folder: Path) -> None:
    (crawl_folder / "D.WARC.GZ").write_bytes(b"d")
    assert names([str(crawl_folder)]) == ["D.WARC.GZ", "a.warc.gz", "b.warc.gz", "deep/c.warc"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path / "pipe.jsonl", "/dev/null"):
        with pytest.raises(UserError, match="a pipe or a device, which can be read only once; write it into a file"):
            names([str(path)])


def test_a_glob_and_a_file_are_taken_as_named(crawl_folder: Path) -> None:
    assert names([str(crawl_folder / "*.warc.gz")]) == ["a.warc.gz", "b.warc.gz"]
    assert names([str(crawl_folder / "notes.txt")]) == ["notes.txt"]


def test_a_path_list_names_files_beside_it(crawl_folder: Path) -> None:
    listing = crawl_folder / "warc.paths.gz"
    listing.write_bytes(gzip.compress(b"b.warc.gz\ndeep/c.warc\n"))
    assert names([str(listing)]) == ["b.warc.gz", "deep/c.warc"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("missing.warc.gz", "no such file or folder"),
        ("*.nothing", "no such file or folder"),
        (".", "no file in this folder ends in .warc.gz, .warc"),
    ],
)
def test_a_path_that_names_nothing_is_the_users_mistake(
    path: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"source\.web\.paths: .*" + says):
        names([path])


def test_no_path_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no path is given"):
        names([])


def test_a_path_list_of_a_server_names_files_of_its_host_and_all_are_asked_for_by_turns_of_sixteen() -> None:
    crawl = {f"/data/{i:03d} #м.warc.gz": b"x" * i for i in range(100)}
    lines = [*(name.lstrip("/") for name in crawl), "", "  data/001 #м.warc.gz\r", "/data/002 #м.warc.gz?sig=1"]
    with serving(crawl) as site, serving({"/y.warc.gz": b"y"}) as other:
        site.files["/lists/warc.paths.gz"] = gzip.compress("\n".join([*lines, f"{other.url}y.warc.gz?a"]).encode())
        files = find_inputs([f"{site.url}lists/warc.paths.gz?download=1"], WARC, "x")
        assert [file.num_bytes for file in files] == [*range(100), 1, 2, 1]
        assert [file.name for file in files[98:]] == [
            "data/098 #м.warc.gz",
            "data/099 #м.warc.gz",
            "data/001 #м.warc.gz",
            "/data/002 #м.warc.gz",
            "y.warc.gz",
        ]
        with open_input(files[99]) as stream:
            assert stream.read() == b"x" * 99
        assert len(site.requests) == 2 + 102 + 1


def test_the_first_file_of_a_path_list_that_is_not_there_is_named() -> None:
    says = r"x: http://.*/gone\.warc\.gz: the server answers 404, not found; check the address"
    files = {"/a.warc.gz": b"a", "/warc.paths": b"a.warc.gz\ngone.warc.gz\nb.warc.gz"}
    with serving(files) as site, pytest.raises(UserError, match=says):
        find_inputs([f"{site.url}warc.paths"], WARC, "x")


def test_a_list_that_is_no_gzip_is_the_users_mistake() -> None:
    says = r"warc\.paths\.gz: expected a list of paths, one a line: Not a gzipped file"
    with serving({"/warc.paths.gz": b"a.warc.gz"}) as site, pytest.raises(UserError, match=says):
        find_inputs([f"{site.url}warc.paths.gz"], WARC, "x")


def test_a_glob_of_path_lists_gives_the_files_of_all(crawl_folder: Path) -> None:
    for name in ("a", "b"):
        (crawl_folder / f"{name}.paths").write_text(f"{name}.warc.gz\n")
    assert names([str(crawl_folder / "*.paths")]) == ["a.warc.gz", "b.warc.gz"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("gs://bucket/a.warc.gz", "of URLs only https://, http://, s3:// and hf:// are read; download it first"),
        ("ftp://host/crawl/", "of URLs only https://, http://, s3:// and hf:// are read; download it first"),
        ("file:///crawl/a.warc.gz", "of URLs only https://, http://, s3:// and hf:// are read; give the path itself"),
    ],
)
def test_a_url_of_another_kind_is_the_users_mistake(path: str, says: str) -> None:
    with pytest.raises(UserError, match=f"source.web.paths: {path}: {says}"):
        names([path])


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The endpoint of a real S3 server."""
    port = 5599
    script = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    import urllib.request

    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1)
            break
        except OSError:
            time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.mark.slow
def test_s3_objects_and_prefixes_are_read(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import obstore
    from obstore.store import S3Store

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{s3}/dumps", method="PUT"))
    store = S3Store.from_url("s3://dumps/", config={"endpoint": s3}, client_options={"allow_http": True})
    for name in ("crawl/b.warc.gz", "crawl/a.warc.gz", "crawl/notes.txt", "other/c.warc.gz"):
        obstore.put(store, name, name.encode() * 1000)
    files = find_inputs(["s3://dumps/crawl"], WARC, "x")
    assert [f.name for f in files] == ["a.warc.gz", "b.warc.gz"]
    assert files[0].version
    with open_input(files[0], 15) as stream:
        assert stream.read(15) == b"crawl/a.warc.gz"
    with pytest.raises(UserError, match=r"s3://dumps/crawl/missing\.warc\.gz: no such bucket or object; check"):
        find_inputs(["s3://dumps/crawl/missing.warc.gz"], WARC, "x")
    obstore.put(store, "crawl/a.warc.gz", b"y" * 15_000)
    with pytest.raises(RunError) as error:
        open_input(replace(files[0], num_bytes=15_001)).read()  # of another size: nothing of it was fetched yet
    says = "was changed on the server: its ETag is another; begin a new run of it"
    assert str(error.value) == f"s3://dumps/crawl/a.warc.gz: offset 0: {says}"


def test_a_file_name_that_is_not_utf8_is_refused_in_a_line_that_can_be_printed(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    try:
        with open(folder + b"/caf\xe9.warc", "wb") as file:  # noqa: PTH123  a name of bytes
            file.write(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(UserError, match="name is not UTF-8; rename it") as error:
        names([str(tmp_path)])
    str(error.value).encode()
