"""A real HTTP server in a thread, on a free port, that misbehaves on demand."""

import base64
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Site:
    """What the server has, how it answers, and what it was asked. Changes hold from the next request on."""

    files: dict[str, bytes]  # by path, with no escapes
    etag: str = '"1"'
    modified: str = ""
    head: bool = True  # whether HEAD is answered and not refused
    ranges: bool = True  # whether ranges are sent and not the whole file
    lengths: bool = True  # whether lengths are told; without them, and without ranges, a body ends with its connection
    longest_range: int = 1 << 40
    headers: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)  # from path to Location, as UTF-8
    password: str = ""  # "user:password" that it asks for
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # (status, headers) of the next answers
    failures_of: dict[str, int] = field(default_factory=dict)  # status by path, as long as it stands here
    refused_ranges: set[str] = field(default_factory=set)  # values of Range that are answered 503
    cuts: list[int] = field(default_factory=list)  # bytes after which the bodies of the next answers break off

    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # (method, target, Range)
    authorizations: list[str] = field(default_factory=list)
    num_bytes: int = 0  # of bodies sent

    def targets(self) -> list[str]:
        return [target for _, target, _ in self.requests]


@contextmanager
def serving(files: dict[str, bytes], **about: object) -> Iterator[Site]:
    """A site with these files at `Site.url`, which ends in a slash."""
    site = Site(files, **about)  # type: ignore[arg-type]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def _handler(site: Site) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a head and a body of one byte would take 40 ms

        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            site.requests.append((self.command, self.path, wanted))
            site.authorizations.append(self.headers.get("Authorization", ""))
            path = unquote(urlsplit(self.path).path)
            login = "Basic " + base64.b64encode(site.password.encode()).decode()
            if self.command == "HEAD" and not site.head:
                self.answer(405, b"")
            elif path in site.failures_of:
                self.answer(site.failures_of[path], b"")
            elif wanted in site.refused_ranges:
                self.answer(503, b"")
            elif site.failures:
                status, headers = site.failures.pop(0)
                self.answer(status, b"<html>busy</html>", headers)
            elif site.password and self.headers.get("Authorization") != login:
                self.answer(401, b"")
            elif path in site.redirects:
                self.answer(302, b"moved", {"Location": site.redirects[path].encode().decode("latin-1")})
            elif path not in site.files:
                self.answer(404, b"")
            else:
                self.file(site.files[path], re.fullmatch(r"bytes=(\d+)-(\d+)", wanted))

        def file(self, data: bytes, wanted: re.Match[str] | None) -> None:
            about = {"ETag": site.etag, "Last-Modified": site.modified}
            headers = {name: value for name, value in about.items() if value} | site.headers
            if not (site.ranges and wanted):
                return self.answer(200, data, headers)
            first = int(wanted[1])
            if first >= len(data):
                return self.answer(416, b"", headers | {"Content-Range": f"bytes */{len(data)}"})
            last = min(int(wanted[2]), len(data) - 1, first + site.longest_range - 1)
            total = len(data) if site.lengths else "*"
            return self.answer(
                206, data[first : last + 1], headers | {"Content-Range": f"bytes {first}-{last}/{total}"}
            )

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            is_file = status in (200, 206)
            if site.lengths or not is_file:
                self.send_header("Content-Length", str(len(body)))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if is_file and len(body) > 1 and site.cuts:
                body = body[: site.cuts.pop(0)]
                self.close_connection = True
            for at in range(0, len(body), 1 << 16):
                try:
                    self.wfile.write(body[at : at + (1 << 16)])
                except ConnectionError:
                    self.close_connection = True
                    return
                site.num_bytes += len(body[at : at + (1 << 16)])

    return Handler


@contextmanager
def replying(reply: bytes) -> Iterator[str]:
    """The URL of a server that sends these bytes to whatever it is asked, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # the server is closed
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(1 << 16)
                        connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/one.warc.gz"
        finally:
            server.shutdown(socket.SHUT_RDWR)
