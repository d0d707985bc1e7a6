"""Files of a real HTTP server that misbehaves on demand."""

import random
import time
from collections.abc import Callable
from email.utils import formatdate

import pytest
from http_server import Site, replying, serving

from shards import remote
from shards.errors import GristmillError, RunError, UserError
from shards.http_file import HttpFile
from shards.read_ahead import num_fetches
from shards.remote import CONNECTIONS, RemoteError
from shards.storage import InputFile, find_inputs, open_input

DATA = random.Random(7).randbytes(700_000)
NAME = "one.warc.gz"


def find(url: str) -> InputFile:
    (file,) = find_inputs([url], (".warc.gz",), "source.web.paths")
    return file


def content(file: InputFile, offset: int = 0) -> bytes:
    with open_input(file, offset) as stream:
        return stream.read()


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"head": False},
        {"ranges": False},
        {"ranges": False, "lengths": False},
        {"lengths": False},
        {"longest_range": 100_000},
        {"etag": ""},
        {"etag": "", "modified": "Sat, 01 Jan 2022 00:00:00 GMT"},
        {"etag": "", "modified": "yesterday"},
        {"etag": 'W/"weak"'},
        {"headers": {"Content-Encoding": "gzip"}},
        {"headers": {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}},
        {"headers": {"Accept-Ranges": "none"}},
        {"cuts": [1, 250_000, 300_000]},
        {"cuts": [0, 0, 1000]},
        {"ranges": False, "cuts": [250_000, 600_000]},
        {"failures": [(503, {}), (500, {}), (408, {})]},
        {
            "failures": [
                (429, {"Retry-After": "Sat, 01 Jan 2022 00:00:00 GMT"}),  # over long ago
                (503, {"Retry-After": "soon"}),
            ]
        },
        {"password": "me:a b@c"},
    ],
    ids=str,
)
def test_a_file_is_read_whole_and_from_any_byte(about: dict[str, object]) -> None:
    with serving({f"/{NAME}": DATA}, **about) as site:
        url = site.url.replace("//", "//me:a%20b%40c@") if site.password else site.url
        file = find(f"{url}{NAME}")
        assert (file.name, file.num_bytes, str(file)) == (NAME, len(DATA), f"{site.url}{NAME}")
        assert content(file) == DATA
        assert content(file, len(DATA) - 10) == DATA[-10:]
        assert content(file, 300_000) == DATA[300_000:]
        assert content(file, len(DATA)) == b""


def test_an_empty_file_has_no_bytes() -> None:
    for ranges in (True, False):
        with serving({f"/{NAME}": b""}, ranges=ranges) as site:
            file = find(f"{site.url}{NAME}")
            assert (file.num_bytes, content(file)) == (0, b"")


def test_each_byte_is_sent_once_however_many_streams_ask() -> None:
    with serving({f"/{NAME}": DATA}) as site:
        file = find(f"{site.url}{NAME}")
        for _ in range(5):
            with open_input(file) as stream:
                assert stream.read(10) == DATA[:10]
        assert content(file) == DATA
        assert site.num_bytes == len(DATA) + 1  # one byte told the size
        assert len(site.requests) == 3


def test_requests_are_as_many_as_are_foretold() -> None:
    for num_bytes in (1, 256 << 10, 300_000, 5 << 20, 14_000_000):
        with serving({f"/{NAME}": bytes(num_bytes)}) as site:
            file = find(f"{site.url}{NAME}")
            asked = len(site.requests)
            assert len(content(file)) == num_bytes
            assert len(site.requests) - asked == num_fetches(num_bytes)


def test_a_server_without_ranges_sends_the_file_once_to_a_reader_that_goes_forward() -> None:
    with serving({f"/{NAME}": DATA}, ranges=False) as site:
        file = find(f"{site.url}{NAME}")
        assert content(file) == DATA
        assert len(site.requests) == 2


def test_a_stream_tells_its_place_and_seeks_from_both_ends() -> None:
    with serving({f"/{NAME}": DATA}) as site, open_input(find(f"{site.url}{NAME}")) as stream:
        assert stream.seek(-5, 2) == len(DATA) - 5
        assert stream.read() == DATA[-5:]
        assert stream.tell() == len(DATA)
        stream.seek(-700, 1)
        assert stream.read(3) == DATA[-700:-697]


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("one.warc.gz?download=true&sig=a%2Fb+c", "/one.warc.gz?download=true&sig=a%2Fb+c"),
        ("a%20file.warc.gz", "/a%20file.warc.gz"),
        ("a file.warc.gz", "/a%20file.warc.gz"),
        ("%D0%BC.warc.gz", "/%D0%BC.warc.gz"),
        ("м.warc.gz", "/%D0%BC.warc.gz"),
        ("100%.warc.gz", "/100%25.warc.gz"),
        ("a%23b.warc.gz", "/a%23b.warc.gz"),
        ("one.warc.gz#page=2", "/one.warc.gz"),
        ("(a+b),c;d='e'.warc.gz", "/(a+b),c;d='e'.warc.gz"),
        ("one.warc.gz?q=мельница 1", "/one.warc.gz?q=%D0%BC%D0%B5%D0%BB%D1%8C%D0%BD%D0%B8%D1%86%D0%B0%201"),
    ],
)
def test_an_address_is_asked_for_as_it_stands(typed: str, target: str) -> None:
    names = ("one", "a file", "м", "100%", "a#b", "(a+b),c;d='e'")
    with serving({f"/{name}.warc.gz": name.encode() for name in names}) as site:
        file = find(site.url + typed)
        assert content(file) == file.name.removesuffix(".warc.gz").encode()
        assert {*site.targets()} == {target}


def test_redirects_are_followed_also_relative_ones_and_to_other_hosts() -> None:
    with serving({"/там/one.warc.gz": DATA}, password="") as other, serving({"/x/two.warc.gz": b"two"}) as site:
        site.redirects = {"/a": f"{other.url}b", "/c/d": "../x/two.warc.gz", "/loop": "loop", "/ftp": "ftp://host/x"}
        other.redirects = {"/b": "/там/one.warc.gz"}
        assert content(find(f"{site.url}a")) == DATA
        assert content(find(f"{site.url}c/d")) == b"two"
        with pytest.raises(UserError, match="leads through more than 10 redirects"):
            find(f"{site.url}loop")
        with pytest.raises(UserError, match="leads to ftp://host/x; download the file first"):
            find(f"{site.url}ftp")


def test_a_password_goes_to_its_own_host_only() -> None:
    with serving({f"/{NAME}": DATA}) as other, serving({}, password="me:secret") as site:
        site.redirects = {"/a": f"{other.url}{NAME}"}
        find(site.url.replace("//", "//me:secret@") + "a")
        assert site.authorizations[-1].startswith("Basic ")
        assert {*other.authorizations} == {""}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "the server answers 401, a login is needed; put user:password@ before the host"),
        (403, "the server answers 403, access is denied; check the address; one with a signature expires"),
        (404, "the server answers 404, not found; check the address"),
        (410, "the server answers 410, it was removed; check the address"),
        (451, "the server answers 451, .*; check the address"),
    ],
)
def test_a_refusal_is_one_line_without_the_secrets_of_the_address(status: int, says: str) -> None:
    with serving({f"/{NAME}": DATA}, failures=[(status, {})]) as site:
        url = site.url.replace("//", "//me:secret@") + f"{NAME}?sig=secret"
        with pytest.raises(UserError, match=rf"^source\.web\.paths: {site.url}{NAME}: {says}$") as error:
            find(url)
        assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9/x.warc.gz", "no connection (Connection refused); check the address and the network"),
        ("http://no-such-host.invalid/x.warc.gz", "the host is not found; check the address and the network"),
        ("http:///x.warc.gz", "no address that can be asked for (no host); check it"),
        ("http://host:port/x.warc.gz", "no address that can be asked for (Port could not be cast"),
        ("http://[::1/x.warc.gz", "no address that can be asked for (Invalid IPv6 URL); check it"),
        (f"http://{'a' * 70}.com/x.warc.gz", "no address that can be asked for"),
    ],
)
def test_a_host_that_cannot_be_reached_is_one_line(url: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        find(url)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_server_that_does_not_speak_tls_is_one_line() -> None:
    with serving({}) as site, pytest.raises(UserError, match=r"no safe connection \(.+\); check the address"):
        find(site.url.replace("http:", "https:") + NAME)


def changed_size(site: Site) -> None:
    site.files[f"/{NAME}"] = DATA + b"more"


def changed_etag(site: Site) -> None:
    site.etag = '"2"'


def cut_short(site: Site) -> None:
    site.files[f"/{NAME}"] = DATA[:300_000]


def removed(site: Site) -> None:
    site.files.clear()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (changed_size, "was changed on the server: has 700,004 bytes now and had 700,000; begin a new run of it"),
        (changed_etag, "was changed on the server: its version is 2 now and was 1; begin a new run of it"),
        (cut_short, "was changed on the server: has 300,000 bytes now and had 700,000; begin a new run of it"),
        (removed, "the server answers 404, not found; check the address"),
    ],
)
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_under_the_reader_is_refused(
    change: Callable[[Site], None], says: str, ranges: bool
) -> None:
    with serving({f"/{NAME}": DATA}, ranges=ranges) as site, open_input(find(f"{site.url}{NAME}?sig=x")) as stream:
        stream.seek(600_000)
        assert stream.read() == DATA[600_000:]
        change(site)
        stream.seek(300_000)
        with pytest.raises(RunError) as error:
            stream.read()
        assert str(error.value) == f"{site.url}{NAME}: offset 300000: {says}"


def test_a_server_that_never_sends_the_body_is_given_up_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TRIES", 3)
    with serving({f"/{NAME}": DATA}) as site:
        file = find(f"{site.url}{NAME}")
        site.cuts = [0] * 10
        with pytest.raises(RunError) as error:
            content(file)
        says = "the connection broke, 3 times in a row; check the address, or run the same command again later"
        assert str(error.value) == f"{site.url}{NAME}: offset 0: {says}"


def test_a_long_wait_that_the_server_asks_for_is_passed_on_to_the_user() -> None:
    says = "the server answers 503, it is busy, and asks to wait 3,600 s; run the same command again then"
    failures = [(503, {"Retry-After": "3600"})]
    with serving({f"/{NAME}": DATA}, failures=failures) as site, pytest.raises(UserError, match=says):
        find(f"{site.url}{NAME}")


def test_the_version_is_the_etag_else_a_lasting_time_of_change() -> None:
    old = "Sat, 01 Jan 2022 00:00:00 GMT"
    with serving({f"/{NAME}": DATA}, modified=old) as site:
        assert find(f"{site.url}{NAME}").version == "1"
        site.etag = ""
        assert find(f"{site.url}{NAME}").version == old
        site.modified = ""
        assert find(f"{site.url}{NAME}").version == ""


def test_a_time_of_change_that_is_that_of_the_answer_is_no_version() -> None:
    with serving({f"/{NAME}": DATA}, etag="") as site:
        site.modified = formatdate(time.time(), usegmt=True)
        assert find(f"{site.url}{NAME}").version == site.modified  # a file written just now
        site.headers = Now()
        site.modified = ""
        assert find(f"{site.url}{NAME}").version == ""


class Now(dict[str, str]):
    """The headers of a program that writes each answer anew."""

    def __ror__(self, other: dict[str, str]) -> dict[str, str]:  # type: ignore[override]
        return other | {"Last-Modified": formatdate(time.time(), usegmt=True)}


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \xff\xfe\r\nno header\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabcde",
    ],
)
def test_an_odd_answer_with_the_file_in_it_is_read(reply: bytes) -> None:
    with replying(reply) as url:
        assert content(find(url)) == b"abcde"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nd", "the connection broke, 2 times"),
        (b"SSH-2.0-OpenSSH\r\n", "the connection broke, 2 times in a row; check the address, or run"),
        (b"", "the connection broke, 2 times in a row; check the address, or run the same command again later"),
        (b"HTTP/1.1 206 Part\r\nContent-Length: 1\r\n\r\na", "the server answers 206, Partial Content; check"),
        (
            b"HTTP/1.1 206 Part\r\nContent-Range: bytes 1-1/2\r\n\r\na",
            "byte 1 was sent where 0 was asked for; download",
        ),
        (b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n", "the server answers 416, Requested Range Not Satisfiable"),
        (b"HTTP/1.1 204 No\r\n\r\n", "the server answers 204, No Content; check the address"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "the server answers 302, Found; check the address"),
        (b"HTTP/1.1 302 \r\nLocation: http://[::x\r\n\r\n", r"no address that can be asked for \(Invalid IPv6 URL\)"),
        (b"HTTP/1.1 499 \x1b[31m\r\nContent-Length: 0\r\n\r\n", "the server answers 499, no file; check the address"),
    ],
)
def test_an_answer_without_the_file_is_a_line(reply: bytes, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TRIES", 2)
    with replying(reply) as url, pytest.raises(GristmillError, match=rf"{url}: (offset 0: )?{says}"):
        content(find(url))


def test_answers_that_are_closed_early_take_no_connection_from_later_ones() -> None:
    with serving({"/a": b"abc"}) as site:
        for _ in range(2 * CONNECTIONS):
            with pytest.raises(RemoteError, match="not found"):
                HttpFile(f"{site.url}b", 3, "").read(0, 3)
        assert HttpFile(f"{site.url}a", 3, "1").read(0, 3) == b"abc"
