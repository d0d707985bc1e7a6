"""One GET of a file over HTTP: redirects, proxies, passwords, and what a failure means.

The library's own retries and redirects are not used: they neither continue a body that broke off nor know which errors
are worth another try, and a `Location` of other than ASCII letters goes wrong. Nothing is decoded:
`Content-Encoding: gzip` is what servers say of a `.gz` file.
"""

from functools import cache
from http.client import responses
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions
from urllib3.response import BaseHTTPResponse

from shards.address import host_root, requested_url, scheme, shown
from shards.pace import THROTTLED_WAIT_S, Pace
from shards.remote import CONNECTIONS, DOWNLOAD, LONGEST_ASKED_S, Passing, RemoteError

_TIMEOUT = urllib3.Timeout(connect=20, read=60)  # seconds
_LITTLE = 64 << 10  # bytes that are sooner read than a connection is made
_MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_NO_HOST = (exceptions.NewConnectionError, exceptions.SSLError, exceptions.ProxyError)
_PASSING = {
    408: "the request took too long",
    429: "too many requests",
    500: "an error of its own",
    502: "an error of its own",
    503: "it is busy",
    504: "an error of its own",
}
_THROTTLED = {403: "access is denied", 429: _PASSING[429], 503: _PASSING[503]}
_REFUSED = {
    401: ("a login is needed", "put user:password@ before the host"),
    403: ("access is denied", "check the address; one with a signature expires"),
    404: ("not found", "check the address"),
    410: ("it was removed", "check the address"),
}


def answer(url: str, byte_range: str, *, known: bool, pace: Pace | None = None) -> BaseHTTPResponse:
    """The answer, 200, 206 or 416, with its body unread; `byte_range` is "" for all bytes.

    RemoteError, or Passing for what may pass. A host that is not found passes where the file is `known`, since it was
    there a moment ago. With a `pace` the request waits for its turn, and a refusal (403) passes, too: Common Crawl
    answers so to those who ask too often.
    """
    headers = {"Accept-Encoding": "identity", "User-Agent": "gristmill"} | ({"Range": byte_range} if byte_range else {})
    target, location, login, root = "", url, "", ""
    for _ in range(_MOST_REDIRECTS + 1):
        if pace is not None:
            pace.wait()
        try:
            target, given = requested_url(urljoin(target, location))
            if given or host_root(target) != root:  # a password is for its own host only
                login, root = given, host_root(target)
            response = _pool(_proxy(target)).request(
                "GET",
                target,
                headers=headers | (urllib3.make_headers(basic_auth=login) if login else {}),
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except ValueError as error:  # LocationValueError is one too
            raise RemoteError(f"no address that can be asked for ({error})", "check it") from None
        except exceptions.HTTPError as error:
            if known or not isinstance(error, _NO_HOST):
                raise Passing(_cause(error)) from None
            raise RemoteError(_cause(error), "check the address and the network") from None
        location = _utf8(response.headers.get("Location", ""))
        if response.status not in _REDIRECTS or not location:
            return _accepted(response, byte_range, pace)
        response.drain_conn()
        if scheme(location) not in ("", "http", "https"):
            raise RemoteError(f"leads to {shown(location)}", DOWNLOAD)
    raise RemoteError(f"leads through more than {_MOST_REDIRECTS} redirects", "check the address in a browser")


def _accepted(response: BaseHTTPResponse, byte_range: str, pace: Pace | None) -> BaseHTTPResponse:
    status = response.status
    if status == 200 or (byte_range and status in (206, 416)):
        return response
    response.close()
    if pace is not None and status in _THROTTLED:
        wait_s = max(THROTTLED_WAIT_S, _asked_wait_s(response))
        pace.hold(min(wait_s, LONGEST_ASKED_S))
        raise Passing(f"the server answers {status}, {_THROTTLED[status]}", wait_s)
    if status in _PASSING:
        raise Passing(f"the server answers {status}, {_PASSING[status]}", _asked_wait_s(response))
    cause, remedy = _REFUSED.get(status, (responses.get(status, "no file"), "check the address"))
    raise RemoteError(f"the server answers {status}, {cause}", remedy)


def read(response: BaseHTTPResponse, most: int) -> bytes:
    """The next bytes of the body, b"" at its end. Passing where the connection breaks before."""
    try:
        return response.read(most)
    except exceptions.HTTPError as error:
        response.close()
        raise Passing(_cause(error)) from None


def finish(response: BaseHTTPResponse) -> None:
    """Give the connection back, or close it where more than a little is still to come."""
    remaining = response.length_remaining
    if remaining is not None and remaining <= _LITTLE:
        response.drain_conn()
        response.release_conn()
    else:
        response.close()


def _asked_wait_s(response: BaseHTTPResponse) -> float:
    """Seconds by Retry-After, which is a number of them or a date; 0 without one."""
    try:
        return urllib3.Retry().get_retry_after(response) or 0.0
    except exceptions.InvalidHeader:
        return 0.0


def _cause(error: exceptions.HTTPError) -> str:
    """What happened, in a few words: the library's own have addresses of objects in them."""
    match error:
        case exceptions.NameResolutionError():
            return "the host is not found"
        case exceptions.NewConnectionError():
            return f"no connection ({getattr(error.__cause__, 'strerror', None) or 'the host does not answer'})"
        case exceptions.ConnectTimeoutError() | exceptions.ReadTimeoutError():
            return "the server does not answer in time"
        case exceptions.SSLError():
            tls = error.args[0] if error.args else error
            reason = getattr(tls, "verify_message", "") or getattr(tls, "reason", "") or "TLS"
            return f"no safe connection ({reason})"
        case exceptions.ProxyError():
            return "the proxy cannot be reached"
        case _:
            return "the connection broke"


def _utf8(header: str) -> str:
    """A header as its bytes are in UTF-8; the library reads them as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _proxy(url: str) -> str:
    """The proxy that the environment (`https_proxy`, `no_proxy`) names for this URL, or ""."""
    parts = urlsplit(url)
    proxies = getproxies()
    return "" if proxy_bypass(parts.netloc) else proxies.get(parts.scheme) or proxies.get("all", "")


@cache
def _pool(proxy: str) -> urllib3.PoolManager:
    """It never blocks: an answer that is closed before its end keeps its place in a pool of a fixed size for ever."""
    if not proxy:
        return urllib3.PoolManager(maxsize=CONNECTIONS, timeout=_TIMEOUT)
    login = unquote(urlsplit(proxy).netloc.rpartition("@")[0])
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, maxsize=CONNECTIONS, timeout=_TIMEOUT)
