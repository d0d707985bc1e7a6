"""Inputs from disk, from a real S3 server (moto) and over HTTP."""

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shards.errors import UserError
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


class RangeHandler(SimpleHTTPRequestHandler):
    """A static server with ranges, as the hosts of dumps are; answers 503 to every third request, as they do too."""

    requests = 0

    def do_GET(self) -> None:
        RangeHandler.requests += 1
        if RangeHandler.requests % 3 == 0:
            self.send_error(503)
            return
        wanted = self.headers.get("Range")
        data = Path(self.translate_path(self.path)).read_bytes()
        assert wanted is not None
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Last-Modified", self.date_time_string(0))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None: ...


def test_http_inputs_are_read_in_ranges_and_retried_on_503(crawl_folder: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=str(crawl_folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/a.warc.gz"
        (file,) = find_inputs([url], WARC, "x")
        assert (file.name, file.num_bytes) == ("a.warc.gz", 9000)
        for offset in (0, 10, 8999, 9000):
            with open_input(file, offset) as stream:
                assert stream.read() == (b"a.warc.gz" * 1000)[offset:]
        assert RangeHandler.requests >= 3
    finally:
        server.shutdown()


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
    assert files[0].etag
    with open_input(files[0], 15) as stream:
        assert stream.read(15) == b"crawl/a.warc.gz"
    with pytest.raises(UserError, match=r"s3://dumps/crawl/missing\.warc\.gz: cannot be reached"):
        find_inputs(["s3://dumps/crawl/missing.warc.gz"], WARC, "x")


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
