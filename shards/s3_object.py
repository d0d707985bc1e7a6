"""Objects of S3 and of services that speak its protocol, by `s3://bucket/key`.

Region, endpoint and credentials come from AWS_* variables. Without credentials requests are not signed, so public dumps
need no account. The library tries a request again until the head of its answer comes; a body that breaks off is asked
for again here.
"""

import os
import re
from functools import cache
from typing import Any

from shards.address import host_root
from shards.remote import Passing, Patience, RemoteError

_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
# What a library's error says in its hundred lines, and what it means.
_CAUSES = {
    "dns error": "the host is not found",
    "failed to lookup address": "the host is not found",
    "Connection refused": "no connection (Connection refused)",
    "certificate": "no safe connection (its certificate is not trusted)",
    "timed out": "the server does not answer in time",
    "TimedOut": "the server does not answer in time",
    "IncompleteBody": "the connection broke",
    "IncompleteMessage": "the connection broke",
    "ConnectionReset": "the connection broke",
    "error decoding response body": "the connection broke",
}
_BROKEN_BODY = "the connection broke"
_STATUS = re.compile(r"status (\d{3})[^:]*|Server returned non-2xx status code: (\d{3})")


def list_objects(url: str) -> list[tuple[str, int, str]]:
    """(URL, bytes, ETag) of each object below the prefix `url`, by name. RemoteError."""
    import obstore

    store, prefix = _split(url)
    try:
        metas = [meta for chunk in obstore.list(store, prefix=prefix.rstrip("/")) for meta in chunk]
    except (OSError, ValueError, obstore.exceptions.BaseError) as error:
        raise _remote_error(error) from None
    return [(host_root(url) + meta["path"], *_size_and_version(meta)) for meta in sorted(metas, key=_path)]


def stat(url: str) -> tuple[int, str]:
    """(bytes, ETag) of the object. RemoteError."""
    import obstore

    store, key = _split(url)
    try:
        return _size_and_version(obstore.head(store, key))
    except (OSError, ValueError, obstore.exceptions.BaseError) as error:
        raise _remote_error(error) from None


class S3Object:
    """One object; it is refused where its ETag is no longer `version`."""

    def __init__(self, url: str, version: str) -> None:
        self._store, self._key = _split(url)
        self._version = version

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from byte `offset` on, which the object has. RemoteError where they do not come."""
        import obstore

        same = {"if_match": f'"{self._version}"'} if self._version else {}
        options: Any = {"range": (offset, offset + length), **same}
        patience = Patience()
        while True:
            try:
                return bytes(obstore.get(self._store, self._key, options=options).bytes())
            except obstore.exceptions.PreconditionError:
                cause = "was changed on the server: its ETag is another"
                raise RemoteError(cause, "begin a new run of it") from None
            except (OSError, ValueError, obstore.exceptions.BaseError) as error:
                if _cause(error) != _BROKEN_BODY:
                    raise _remote_error(error) from None
                patience.wait(Passing(_BROKEN_BODY))


def _path(meta: Any) -> str:
    return str(meta["path"])


def _size_and_version(meta: Any) -> tuple[int, str]:
    return meta["size"], (meta.get("e_tag") or "").strip('"')


def _split(url: str) -> tuple[Any, str]:
    import obstore

    base = host_root(url)
    try:
        return _store(base), url[len(base) :]
    except obstore.exceptions.BaseError:
        raise RemoteError("names no bucket", "write s3://BUCKET/KEY") from None


@cache
def _store(base: str) -> Any:
    from obstore.store import S3Store

    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    return S3Store.from_url(
        base,
        config={"skip_signature": not any(name in os.environ for name in _CREDENTIALS)},
        client_options={"allow_http": plain},
    )


def _cause(error: Exception) -> str:
    """What happened, in a few words."""
    text = str(error)
    known = next((cause for word, cause in _CAUSES.items() if word in text), "")
    status = _STATUS.search(text)
    if known:
        return known
    if status:
        number = status[1] or status[2]
        return "no such bucket or object" if number == "404" else f"the server answers {number}"
    return " ".join(text.partition("\n")[0].split())[-120:]


def _remote_error(error: Exception) -> RemoteError:
    import obstore

    match error:
        case FileNotFoundError() | obstore.exceptions.NotFoundError():
            return RemoteError("no such bucket or object", "check the address")
        case obstore.exceptions.PermissionDeniedError() | obstore.exceptions.UnauthenticatedError():
            return RemoteError("access is denied", "check the address and the credentials in AWS_* variables")
        case ValueError():
            return RemoteError("no address that can be asked for", "check it for empty parts")
        case _:
            return RemoteError(
                _cause(error), "check the address, the network, and region and endpoint in AWS_* variables"
            )
