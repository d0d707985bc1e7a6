"""Objects of S3 and of services that speak its protocol, by `s3://bucket/key`.

Region, endpoint and credentials come from AWS_* variables. Without credentials requests are not signed, so public dumps
need no account. The library tries a request again until the head of its answer comes; a body that breaks off is asked
for again here.
"""

from typing import Any

from shards.address import host_root
from shards.object_store import BROKEN, cause_of, open_store, remote_error
from shards.remote import Passing, Patience, RemoteError


def list_objects(url: str) -> list[tuple[str, int, str]]:
    """(URL, bytes, ETag) of each object below the prefix `url`, by name. RemoteError."""
    import obstore

    store, prefix = _split(url)
    try:
        metas = [meta for chunk in obstore.list(store, prefix=prefix.rstrip("/")) for meta in chunk]
    except (OSError, ValueError, obstore.exceptions.BaseError) as error:
        raise remote_error(error) from None
    return [(host_root(url) + meta["path"], *_size_and_version(meta)) for meta in sorted(metas, key=_path)]


def stat(url: str) -> tuple[int, str]:
    """(bytes, ETag) of the object. RemoteError."""
    import obstore

    store, key = _split(url)
    try:
        return _size_and_version(obstore.head(store, key))
    except (OSError, ValueError, obstore.exceptions.BaseError) as error:
        raise remote_error(error) from None


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
                if cause_of(error) != BROKEN:
                    raise remote_error(error) from None
                patience.wait(Passing(BROKEN))


def _path(meta: Any) -> str:
    return str(meta["path"])


def _size_and_version(meta: Any) -> tuple[int, str]:
    return meta["size"], (meta.get("e_tag") or "").strip('"')


def _split(url: str) -> tuple[Any, str]:
    base = host_root(url)
    return open_store(base), url[len(base) :]
