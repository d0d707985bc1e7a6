"""The socket of `gristmill serve`: loopback only, GET only, behind a token that no other page can guess.

    GET /TOKEN/ledger?… ──▶ is Host this machine? is the token ours? ──▶ `Site` ──▶ a page, with headers that forbid
                                                                                    everything that it does not need

A page of the web can make the browser ask 127.0.0.1, by its address or by a name of its own that it lets point there
(DNS rebinding). The first lacks the token, and the second is refused by its Host header, too.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pipelines.serve.site import POLICY, Answer, Site
from shards.errors import UserError

_LOOPBACK = "127.0.0.1"
_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]+)?", re.IGNORECASE)
_TIMEOUT_S = 30  # for a client that sends no request
_MOST_FIELDS = 200  # parameters of one address


class RunServer(ThreadingHTTPServer):
    """Serves one run until it is closed."""

    daemon_threads = True

    def __init__(self, run: Path, port: int) -> None:
        self.site = Site(run)
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((_LOOPBACK, port), _Handler)
        except OSError as error:
            raise UserError(f"--port {port}: {error.strerror}; choose another, or 0 for any that is free") from None

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self.server_address[1]}/{self.token}/"


@contextmanager
def served(run: Path, port: int = 0) -> Iterator[RunServer]:
    """A server for the run, which is ready and answers once `serve_forever` is called."""
    with RunServer(run, port) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: RunServer
    server_version, sys_version = "gristmill", ""
    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        self._send(self._answer())

    def _answer(self) -> Answer:
        if not _HOST.fullmatch(self.headers.get("Host", "")):
            return _refusal(403, "this server answers to 127.0.0.1 and localhost alone")
        address = urlsplit(self.path)
        token, slash, page = address.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(errors="replace"), self.server.token.encode()) or not slash:
            return _refusal(403, "the address lacks its token; take the one that gristmill serve printed")
        try:
            parameters = parse_qs(address.query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            return _refusal(400, "too many parameters")
        return self.server.site.answer(page, parameters)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in (
            ("Content-Type", answer.media_type),
            ("Content-Length", str(len(answer.body))),
            ("Content-Security-Policy", answer.policy),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Errors of the protocol, such as another method than GET."""
        self._send(_refusal(405 if code == 501 else code, "this server answers GET alone"))

    def log_message(self, format: str, *args: object) -> None:
        """Addresses hold the token: they are not logged."""


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, f"gristmill: {message}\n".encode(), POLICY, "text/plain; charset=utf-8")
