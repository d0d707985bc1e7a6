"""Duplicates by equal normalised URL: one address that was fetched more than once.

    HTTPS://WWW.Example.org:443/a%7eb?utm_source=x&id=2#top   →   //example.org/a~b?id=2

Normalisation removes what servers treat as the same: http and https, case of the host, `www.`, the default port, an
empty path, the spelling of percent-encoding (RFC 3986, 6.2.2), the fragment, and parameters that only track a visitor.
Other parameters keep their order: servers may read it (repeated keys, positional forms), and a page that was fetched
under two orders is found by its text.

URL deduplication is usually the last stage (RefinedWeb): a fetch that a filter drops must not replace a good one.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import quote

import pyarrow as pa
import xxhash

from dedup.equal_keys import Fingerprint, remove_equal
from dedup.index import Index
from dedup.keep import KeepBy
from shards.exchange import ExchangeUnit, Executor, GlobalStageConfig
from shards.schema import COPIES

# RFC 3986, appendix B, without the fragment.
_PARTS = re.compile(r"([^:/?#]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.DOTALL)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))  # what `quote` leaves alone: it only encodes the rest
_PORTS = {"http": ":80", "https": ":443"}
_TRACKING = re.compile(
    r"utm_.*|gclid|gclsrc|dclid|gbraid|wbraid|srsltid|_ga|_gl|fbclid|igshid|igsh|msclkid|twclid|ttclid|li_fat_id"
    r"|yclid|ysclid|_openstat|mc_cid|mc_eid|_hsenc|_hsmi|hsctatracking|mkt_tok|vero_id|oly_anon_id|oly_enc_id",
    re.IGNORECASE,
)


class UrlConfig(GlobalStageConfig):
    """Kind `url_dedup`."""

    version: ClassVar[int] = 2
    reason: ClassVar[str] = "dedup.url"

    keep: Literal["newest", "oldest", "first"] = "newest"
    index: str | None = None  # folder of earlier kept documents; documents of this run with their URLs are removed

    @property
    def fingerprint(self) -> Fingerprint:
        return _digests

    def columns(self) -> pa.Schema:
        return pa.schema([COPIES])

    def digests(self) -> dict[str, str]:
        return Index.of(self, "url_dedup").digests()

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        earlier = Index.of(self, "url_dedup").files()
        remove_equal(
            units,
            folder,
            executor,
            column="url",
            fingerprint=_digests,
            keep=KeepBy(self.keep),
            earlier=earlier,
        )


def normalized(url: str) -> str:
    """`url` as it is compared; one that has no host ("urn:…") is only stripped."""
    url = url.strip()
    parts = _PARTS.match(url)
    if parts is None:
        return url
    scheme, host, path, query = parts.groups(default="")
    scheme, host = scheme.lower(), _host(host.lower())
    host = host.removesuffix(_PORTS.get(scheme, "")).rstrip(".").removeprefix("www.")
    parameters = [p for p in _encoding(query).split("&") if p and not _TRACKING.fullmatch(p.partition("=")[0])]
    end = "?" + "&".join(parameters) if parameters else ""
    return f"{'' if scheme in _PORTS else scheme + ':'}//{host}{_encoding(path) or '/'}{end}"


def _host(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _encoding(text: str) -> str:
    """Spell percent-encoding one way: unreserved characters plain, characters that need it as %XX."""
    return _ESCAPE.sub(_escape, quote(text, safe=_VISIBLE))


def _escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _digests(batch: pa.RecordBatch) -> pa.Array:
    urls = (normalized(url or "") for url in batch["url"].to_pylist())
    return pa.array([xxhash.xxh3_128_digest(url.encode()) if url else None for url in urls], pa.binary(16))
