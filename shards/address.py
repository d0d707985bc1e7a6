"""Addresses of files: which paths are URLs, what a server is asked for, and what people are shown.

https://me:secret@host/a%20file.warc.gz?sig=b%2Fc#top
    is asked for as   https://host/a%20file.warc.gz?sig=b%2Fc     escapes stay as they are
    is named          a file.warc.gz                              a query is no part of a file's name
    is shown as       https://host/a%20file.warc.gz               nor are passwords and signatures for others' eyes
"""

import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from shards.errors import UserError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # `Path` makes one slash of two
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KEPT = "!$%&'()*+,-./:;=?@[\\]^_`{|}~"  # ASCII that stays as it is typed; a space, quotes and other letters do not


def scheme(path: str) -> str:
    """`https` of `HTTPS://host/file`; "" of a path on this disk."""
    found = _SCHEME.match(path)
    return found[1].lower() if found else ""


def is_http(path: str) -> bool:
    return scheme(path) in ("http", "https")


def is_s3(path: str) -> bool:
    return scheme(path) == "s3"


def is_remote(path: str) -> bool:
    return is_http(path) or is_s3(path)


def host_root(url: str) -> str:
    """`https://host/` or `s3://bucket/` of a URL."""
    return "/".join(url.split("/")[:3]) + "/"


def requested_url(url: str) -> tuple[str, str]:
    """(the URL as a server is asked for it, `user:password` or ""), of an address as people and lists write it.

    The host is ASCII (IDNA), other characters are UTF-8 and escaped, and a `%` that begins no escape is one itself. A
    fragment is not sent. ValueError where the address is none.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()  # UnicodeError is a ValueError
    if not host:
        raise ValueError("no host")
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    query = f"?{_escaped(parts.query)}" if parts.query else ""
    credentials = unquote(parts.netloc.rpartition("@")[0])
    return f"{parts.scheme}://{host}{port}{_escaped(parts.path) or '/'}{query}", credentials


def file_name(path: str) -> str:
    """The last component of the address, without its query and its escapes."""
    if not is_http(path):
        return path.rstrip("/").rpartition("/")[2]
    host, raw = shown(path).split("/")[2], shown(path).partition("://")[2].rstrip("/").rpartition("/")[2]
    name = unquote(raw)
    readable = name.isprintable() and "/" not in name and "\N{REPLACEMENT CHARACTER}" not in name
    return (name if readable else raw) or host


def shown(path: str) -> str:
    """The path for messages: a URL without its password, and without its query, which may be a signature."""
    if not is_http(path):
        return path
    root, rest = host_root(path), path[len(host_root(path)) :]
    host = root.split("/")[2].rpartition("@")[2]
    url = f"{root.split('/')[0]}//{host}/{rest}".partition("?")[0].partition("#")[0]
    return "".join(filter(str.isprintable, url))


def require_local(path: Path | str) -> None:
    """UserError for a URL where only a path on this disk will do: results are written to a disk, not into a bucket."""
    if scheme(str(path)):
        url = re.sub(r":/+", "://", shown(str(path)), count=1)
        raise UserError(f"{url}: is a URL, where a path on this disk is needed; name one, and copy to or from the URL")


def _escaped(text: str) -> str:
    return quote(_NO_ESCAPE.sub("%25", text), safe=_KEPT)
