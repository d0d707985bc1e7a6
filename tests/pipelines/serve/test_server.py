"""The server answers this machine alone, GET alone, its token alone; all is escaped, and nothing is written."""

import http.client
import socket
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from command import gristmill

from pipelines.run.folder import RunFolder
from pipelines.serve.server import RunServer, served
from shards.errors import UserError

from .conftest import HOSTILE


def ask(
    server: RunServer, page: str = "", *, method: str = "GET", token: str | None = None, **headers: str
) -> tuple[int, str, dict[str, str]]:
    """(status, body, headers) of an answer."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=20)
    connection.request(method, f"/{server.token if token is None else token}/{page}", headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, {name.lower(): value for name, value in answer.getheaders()}


def test_only_loopback_is_bound(server: RunServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32
    other = socket.socket()
    with pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", server.server_address[1]))
    other.close()


@pytest.mark.parametrize("token", ["", "x", "é", "%00"])
def test_without_the_token_there_is_nothing(server: RunServer, token: str) -> None:
    status, body, _ = ask(server, "ledger", token=quote(token))
    assert (status, "token" in body, "example" in body) == (403, True, False)
    assert ask(server, token=server.token[:-1])[0] == 403
    assert ask(server, token=server.token + "x")[0] == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("a@localhost", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_another_host_is_refused(server: RunServer, host: str, status: int) -> None:
    """A name of the web that points to 127.0.0.1 is still the name of a page of the web."""
    assert ask(server, Host=host)[0] == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"])
def test_other_methods_are_refused(server: RunServer, method: str) -> None:
    assert ask(server, method=method)[0] == 405


@pytest.mark.parametrize(
    "page", ["", "report", "ledger", "explain?row=0", "whatif", "none", "../../etc/passwd", "ledger?sort=x"]
)
def test_every_answer_forbids_scripts_and_requests(server: RunServer, page: str) -> None:
    _, _, headers = ask(server, page)
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("no-referrer", "nosniff")
    assert headers["cache-control"] == "no-store"


def test_the_pages_of_a_finished_run(server: RunServer) -> None:
    assert "refinedweb" in ask(server)[1] or "kept" in ask(server)[1]
    status, body, _ = ask(server, "ledger?host=near.example")
    assert status == 200
    assert "2 of " in body
    assert "https://near.example/short" in body
    row = body.split('href="explain?row=')[1].split('"')[0]
    status, body, _ = ask(server, f"explain?row={row}")
    assert status == 200
    assert "near.example" in body
    assert "word_count" in ask(server, "explain?document=https://short.example/1")[1]
    body = ask(server, "whatif?set=" + quote("gopher_quality.min_words=20,100"))[1]
    assert "gopher_quality.min_words=100" in body
    assert "https://short.example/" in body


def test_mistakes_are_pages(server: RunServer) -> None:
    for page, status, says in (
        ("ledger?sort=x", 400, "no column of numbers"),
        ("explain?document=https://nowhere.example/", 400, "there is none of the host nowhere.example"),
        ("whatif?set=near.bands=3", 200, "to measure again"),
        ("whatif?set=" + quote("gopher_quality.min_words=" + ",".join(map(str, range(30)))), 200, "ask for 20 at most"),
        ("none", 404, "no such page"),
        ("ledger?" + "&".join(["a=1"] * 300), 400, "too many parameters"),
    ):
        found = ask(server, page)
        assert (found[0], says in found[1]) == (status, True), page


def test_nothing_is_written(server: RunServer, run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    for page in (
        "",
        "report",
        "ledger?host=example&sort=text_chars",
        "explain?row=1",
        "whatif?set=gopher_quality.min_words=20",
    ):
        ask(server, page)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_hostile_rows_are_escaped_on_every_page(hostile_server: RunServer) -> None:
    broken = quote('"></textarea><script>')
    asked = [f"ledger?url={broken}", f"explain?document={broken}", f"explain?document={quote(HOSTILE)}"]
    for page in ("ledger", *(f"explain?row={n}" for n in range(3)), *asked, f"whatif?set={broken}"):
        body = ask(hostile_server, page)[1]
        assert "<script" not in body
        assert 'href="javascript:' not in body
        assert 'href="data:' not in body
    assert "&lt;script&gt;" in ask(hostile_server, "explain?row=0")[1]


def test_a_run_under_way_shows_its_partial_report(tmp_path: Path, run: Path) -> None:
    half = tmp_path / "run"
    half.mkdir()
    for name in (RunFolder.RUN, RunFolder.RECIPE):
        (half / name).write_bytes((run / name).read_bytes())
    with served(half) as server:
        assert b"The run has begun" in server.site.answer("", {}).body
        answer = server.site.answer("ledger", {})
        assert (answer.status, b"not finished" in answer.body) == (409, True)


def test_the_command_refuses_what_is_no_run_and_a_port_that_is_taken(
    tmp_path: Path, server: RunServer, run: Path
) -> None:
    refused = gristmill("serve", tmp_path)
    assert (refused.returncode, "no run of gristmill" in refused.stderr) == (2, True)
    with pytest.raises(UserError, match="choose another"), served(run, server.server_address[1]):
        pass
