"""Objects below a prefix of a store: `s3://bucket/prefix`, and untested `gs://bucket/prefix`, `az://container/prefix`.

Region, endpoint and credentials come from the variables of each service (AWS_*, GOOGLE_*, AZURE_*) and never from the
URL. Without credentials for S3 requests are not signed, so public data need no account. The library tries a request
again until the head of its answer comes; a body that breaks off is asked for again here, from where it broke.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from shards.address import host_root, scheme
from shards.remote import TRIES, Passing, Patience, RemoteError, StillPassing

T = TypeVar("T")

STORES = ("s3", "gs", "az")

_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
_TIMEOUT = "60s"  # of a request with its body: half a MB a second is fast enough for `_PIECE`
_PIECE = 32 << 20  # bytes sent in one request
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
BROKEN = "the connection broke"
ENDS_BEFORE = ("the file ends before these bytes", "check offset and length")
_BEYOND_END = " 416"  # ends the cause where no byte of a range is in the object
_PASSING = (BROKEN, "the server does not answer in time")
_STATUS = re.compile(r"status (\d{3})[^:]*|Server returned non-2xx status code: (\d{3})")
_SECRET = re.compile(r"(AWS|AZURE|GOOGLE|GCP)_.*(KEY|SECRET|TOKEN|PASSWORD|SAS|ACCOUNT)")
_LOGIN = re.compile(r"(://)[^/@\s]*@")


@dataclass(frozen=True)
class Object:
    name: str  # relative to the prefix
    num_bytes: int
    etag: str


Version = dict[str, str]  # ETag and, where the service counts them, number of an object's version


class Taken(Exception):
    """A conditional write found another object there, or another version of it."""


class ObjectStore:
    """The objects below `url`, by their names relative to it. Every method raises RemoteError where it cannot do."""

    def __init__(self, url: str, give_up_s: float = 180.0) -> None:
        """`give_up_s`: seconds after which a request that fails is no longer tried again."""
        self.url = url
        self._store = open_store(host_root(url), give_up_s)
        key = url[len(host_root(url)) :].strip("/")
        self._prefix = f"{key}/" if key else ""

    def read(self, name: str, target: Path) -> bool:
        """Write the object into the file `target`; False where there is no such object."""
        import obstore

        patience, etag = Patience(), ""
        with target.open("wb") as file:
            while True:
                begun: Any = {"range": {"offset": file.tell()}, "if_match": etag} if file.tell() else {}
                try:
                    answer = obstore.get(self._store, self._prefix + name, options=begun)
                    etag, num_bytes = answer.meta["e_tag"] or "", answer.meta["size"]
                    for piece in answer.stream(1 << 20):
                        file.write(piece)
                        patience.renew()
                    if file.tell() == num_bytes:
                        return True
                    cause = BROKEN
                except FileNotFoundError:
                    return False
                except obstore.exceptions.PreconditionError:
                    file.seek(0)
                    file.truncate()
                    cause = "was changed while it was read"
                except (ValueError, obstore.exceptions.BaseError, OSError) as error:
                    if isinstance(error, OSError) and error.errno is not None:
                        raise  # of the file that is written
                    cause = cause_of(error)
                    if cause not in _PASSING:
                        raise remote_error(error) from None
                patience.wait(Passing(cause))

    def write(self, name: str, data: Path | bytes) -> None:
        """Put a file's bytes, or these, in place of an older object. It is there whole or not at all."""
        import obstore

        num_bytes = len(data) if isinstance(data, bytes) else data.stat().st_size
        in_pieces = num_bytes > _PIECE
        _patiently(
            lambda: obstore.put(
                self._store, self._prefix + name, data, use_multipart=in_pieces, chunk_size=_PIECE, max_concurrency=4
            )
        )

    def write_if(self, name: str, data: bytes, version: Version | None) -> Version:
        """Put these bytes where there is no object (None), or where it is still this version; the new one.

        Taken where that is not so. After a broken connection the object may be there although this raises.
        """
        import obstore

        mode: Any = "create" if version is None else version
        try:
            made = obstore.put(self._store, self._prefix + name, data, mode=mode, use_multipart=False)
        except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError, FileNotFoundError):
            raise Taken(name) from None
        except (ValueError, OSError, obstore.exceptions.BaseError) as error:
            raise remote_error(error) from None
        return _version(made)

    def look(self, name: str) -> tuple[bytes, Version, float] | None:
        """(bytes, version, seconds since 1970 of its Last-Modified) of a small object; None where there is none."""
        import obstore

        def looked() -> tuple[bytes, Version, float] | None:
            try:
                answer = obstore.get(self._store, self._prefix + name)
                return bytes(answer.bytes()), _version(answer.meta), answer.meta["last_modified"].timestamp()
            except FileNotFoundError:
                return None

        return _patiently(looked)

    def below(self, folder: str) -> Iterator[Object]:
        """All objects whose names begin with `folder` and a slash, or all, by name."""
        import obstore

        prefix = self._prefix + (f"{folder}/" if folder else "")

        def listed() -> list[Any]:
            return [meta for chunk in obstore.list(self._store, prefix=prefix or None) for meta in chunk]

        return self._objects(_patiently(listed))

    def inside(self, folder: str) -> tuple[list[str], list[Object]]:
        """(names of the folders in `folder`, objects in it), one level deep, by name."""
        import obstore

        prefix = self._prefix + (f"{folder}/" if folder else "")
        found = _patiently(lambda: obstore.list_with_delimiter(self._store, prefix=prefix or None))
        folders = sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])
        return folders, list(self._objects(list(found["objects"])))

    def delete(self, names: Iterable[str]) -> None:
        """Remove the objects; those that are not there are passed over."""
        import obstore

        paths = [self._prefix + name for name in names]

        def deleted() -> None:
            try:
                obstore.delete(self._store, paths)
            except FileNotFoundError:
                if len(paths) > 1:  # the services that say so delete one by one, and may have stopped there
                    for path in paths:
                        with suppress(FileNotFoundError):
                            obstore.delete(self._store, path)

        if paths:
            _patiently(deleted)

    def _objects(self, metas: list[Any]) -> Iterator[Object]:
        inside = (meta for meta in metas if meta["path"].startswith(self._prefix))  # not the mark of an empty folder
        for meta in sorted(inside, key=lambda meta: str(meta["path"])):
            yield Object(meta["path"][len(self._prefix) :], meta["size"], (meta["e_tag"] or "").strip('"'))


def _version(about: Any) -> Version:
    return {key: about[key] for key in ("e_tag", "version") if about[key] is not None}


def open_store(root: str, give_up_s: float = 180.0) -> Any:
    """The library's store of `s3://bucket/`, `gs://bucket/` or `az://container/`. RemoteError where that is none."""
    return _open_store(root, os.environ.get("AWS_ENDPOINT_URL", ""), give_up_s)


@cache
def _open_store(root: str, endpoint: str, give_up_s: float) -> Any:
    import obstore
    from obstore.store import from_url

    client: Any = {"timeout": _TIMEOUT}
    config: Any = {}
    if scheme(root) == "s3":
        client["allow_http"] = endpoint.startswith("http://")
        config["skip_signature"] = not any(name in os.environ for name in _CREDENTIALS)
    try:
        retries: Any = {"max_retries": TRIES, "retry_timeout": timedelta(seconds=give_up_s)}
        return from_url(root, config=config, client_options=client, retry_config=retries)
    except (ValueError, obstore.exceptions.BaseError):
        raise RemoteError("names no bucket", f"write {scheme(root)}://BUCKET/KEY") from None


def without_secrets(text: str) -> str:
    """`text` without the values of this process's credentials, and without logins in URLs."""
    text = _LOGIN.sub(r"\1", text)
    secrets = [value for name, value in os.environ.items() if _SECRET.match(name) and len(value) > 3]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def remote_error(error: Exception) -> RemoteError:
    """The library's error as cause and remedy."""
    import obstore

    if "RequestTimeTooSkewed" in str(error):
        return RemoteError(
            "the clock of this machine differs from the store's by more than it accepts", "set the clock, as by NTP"
        )
    match error:
        case FileNotFoundError() | obstore.exceptions.NotFoundError():
            return RemoteError("no such bucket or object", "check the address")
        case obstore.exceptions.PermissionDeniedError() | obstore.exceptions.UnauthenticatedError():
            return RemoteError("access is denied", "check the address and the credentials in AWS_* variables")
        case ValueError():
            return RemoteError("no address that can be asked for", "check it for empty parts")
        case _:
            cause = cause_of(error)
            if cause.endswith(_BEYOND_END):
                return RemoteError(*ENDS_BEFORE)
            return StillPassing(cause, "check the address, the network, and region and endpoint in AWS_* variables")


def _patiently(ask: Callable[[], T]) -> T:
    """`ask()`, again and again while the connection breaks. RemoteError."""
    import obstore

    patience = Patience()
    while True:
        try:
            return ask()
        except (ValueError, OSError, obstore.exceptions.BaseError) as error:
            if (cause := cause_of(error)) not in _PASSING:
                raise remote_error(error) from None
            patience.wait(Passing(cause))


def cause_of(error: Exception) -> str:
    """What happened, in a few words."""
    text = str(error)
    known = next((cause for word, cause in _CAUSES.items() if word in text), "")
    status = _STATUS.search(text)
    if known:
        return known
    if status:
        number = status[1] or status[2]
        return "no such bucket or object" if number == "404" else f"the server answers {number}"
    return without_secrets(" ".join(text.partition("\n")[0].split()))[-120:]
