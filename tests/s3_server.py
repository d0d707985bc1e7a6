"""A real S3 server (moto, a process of its own), behind a proxy that misbehaves on demand and counts requests."""

import http.client
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

BUCKET = "bucket"
_OBJECT = re.compile(
    rb"<Contents><Key>(.*?)</Key>.*?</Contents>|<Contents>.*?<Key>(.*?)</Key>.*?</Contents>", re.DOTALL
)


@dataclass
class Faults:
    """How the proxy misbehaves, as shares of requests; it draws by the number of the request."""

    busy: float = 0.0  # answered 503, and not passed on
    slow: float = 0.0  # answered after `delay_s`
    delay_s: float = 0.5
    cut: float = 0.0  # of GETs: the body breaks off
    unanswered: float = 0.0  # of overwriting PUTs: done, and the connection is reset
    unanswered_if: float = 0.0  # of conditional PUTs
    late_s: float = 0.0  # a LIST lacks objects that were put in the last seconds
    down: bool = False  # every request is answered 503
    is_skewed: bool = False  # the server's clock is an hour ahead, so it refuses what is signed


@dataclass
class Proxy:
    server: tuple[str, int]
    url: str = ""
    folder: str = ""  # a URL for the test's objects
    faults: Faults = field(default_factory=Faults)
    requests: Counter[str] = field(default_factory=Counter)  # by kind: GET, HEAD, LIST, PUT, DELETE
    log: list[tuple[str, str]] = field(default_factory=list)  # (kind, key)
    injected: Counter[str] = field(default_factory=Counter)
    puts: dict[str, float] = field(default_factory=dict)  # by key: when it was last put
    random: Random = field(default_factory=lambda: Random(0))

    def draw(self, fault: str) -> bool:
        if self.random.random() >= getattr(self.faults, fault):
            return False
        self.injected[fault] += 1
        return True


@contextmanager
def moto() -> Iterator[tuple[str, int]]:
    """The address of a server with an empty bucket."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(150):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1)
                break
            time.sleep(0.1)
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=10)
        yield "127.0.0.1", port
    finally:
        server.terminate()
        server.wait()


@contextmanager
def behind_proxy(server: tuple[str, int]) -> Iterator[Proxy]:
    proxy = Proxy(server)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    listening.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{listening.server_port}"
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield proxy
    finally:
        listening.shutdown()
        listening.server_close()


def use(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process, and those that it starts, find the server."""
    settings = {
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_ACCESS_KEY_ID": "key-that-nobody-may-see",
        "AWS_SECRET_ACCESS_KEY": "secret-that-nobody-may-see",
        "AWS_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None: ...

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind, key = self.kind(), unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")
            proxy.requests[kind] += 1
            proxy.log.append((kind, key))
            if proxy.draw("slow"):
                time.sleep(proxy.faults.delay_s)
            if proxy.faults.down or proxy.draw("busy"):
                return self.answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
            if proxy.faults.is_skewed:
                return self.answer(403, {}, b"<Error><Code>RequestTimeTooSkewed</Code></Error>")
            connection = http.client.HTTPConnection(*proxy.server, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            if kind == "PUT" and answer.status < 300:
                proxy.puts[key] = time.monotonic()
                conditional = bool({"if-match", "if-none-match"} & set(map(str.lower, self.headers)))
                if proxy.draw("unanswered_if" if conditional else "unanswered"):
                    self.close_connection = True
                    return self.connection.shutdown(socket.SHUT_RDWR)
            if kind == "LIST":
                data = self.without_new(data)
            return self.answer(answer.status, dict(answer.getheaders()), data, cut=kind == "GET" and proxy.draw("cut"))

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

        def kind(self) -> str:
            query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
            if self.command == "GET":
                return "LIST" if "list-type" in query else "GET"
            return "DELETE" if "delete" in query else self.command

        def without_new(self, listing: bytes) -> bytes:
            """The listing without what was put in the last `late_s`."""
            since = time.monotonic() - proxy.faults.late_s

            def kept(match: re.Match[bytes]) -> bytes:
                key = unquote((match[1] or match[2]).decode())
                return b"" if proxy.puts.get(key, 0.0) > since else match[0]

            return _OBJECT.sub(kept, listing) if proxy.faults.late_s else listing

        def answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
            self.send_response_only(status)
            length = headers.get("Content-Length", str(len(body))) if self.command == "HEAD" else str(len(body))
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command == "HEAD":
                return
            if cut and len(body) > 1:
                body, self.close_connection = body[: len(body) // 2], True
            with suppress(ConnectionError):
                self.wfile.write(body)

    return Handler
