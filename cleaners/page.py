"""Records that are worth extracting, chosen before extraction, the costly step.

A record passes when the server answered with success, the body is HTML, and its size is sane. Rows that bring their
text (WET, shards, JSON lines) have no payload and pass.
"""

import re
from typing import ClassVar

import pyarrow as pa

from shards.stage import Batch, Rule, Stage, StageConfig, with_columns

# Media types that browsers render as HTML. A page of another type is HTML where its type says nothing and its first
# bytes hold a tag of HTML. XML is HTML only where they hold an <html> element, since feeds use the names of HTML
# elements too.
_HTML = {"text/html", "application/xhtml+xml"}
_XML = {"text/xml", "application/xml"}
# Types whose resources browsers sniff (https://mimesniff.spec.whatwg.org/#mime-type-sniffing-algorithm) …
_UNKNOWN = {None, "", "unknown/unknown", "application/unknown", "*/*"}
# … and those of servers that know no type. Browsers sniff neither for HTML, to protect from scripts that visitors have
# uploaded; of a crawl, such pages are texts as others are.
_DEFAULT = {"text/plain", "application/octet-stream"}
_TAG = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|title|meta|div|table|script|style|h[1-6]|p|a|br|b|ul|span)[\s>]", re.I
)
# The patterns of the standard that are not among the tags above (section 7.1).
_OPENING = re.compile(rb"\s*<(?:!--|(?:iframe|font)[ >])", re.I)
_BINARY = re.compile(rb"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]")  # section 3, "binary data byte"
_ROOT = re.compile(rb"<html[\s>]", re.I)
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_SNIFF_BYTES = 1024

METRICS = ("is_revisit", "status", "is_html", "num_bytes")


class PageConfig(StageConfig):
    """Kind `page`. Rules on the HTTP status, the media type and the size of a payload."""

    version: ClassVar[int] = 2
    stops: ClassVar[bool] = True
    reads_pages: ClassVar[bool] = True

    name: str = "page"
    min_status: int = 200
    max_status: int = 299
    min_bytes: int = 1
    max_bytes: int = 20_000_000  # crawlers cut bodies at 1 to 5 MB; larger ones are data, not prose

    def columns(self) -> pa.Schema:
        metrics = [pa.field(f"{self.name}.{n}", pa.int64()) for n in METRICS]
        return pa.schema([*metrics, pa.field(f"{self.name}.refers_to", pa.string())])

    def rules(self) -> tuple[Rule, ...]:
        return (
            Rule(f"{self.name}.revisit", f"{self.name}.is_revisit", "", max_kept=0),
            self.rule("bad_status", "status", "min_status"),
            self.rule("bad_status", "status", "max_status"),
            self.rule("empty_body", "num_bytes", "min_bytes"),
            self.rule("too_large", "num_bytes", "max_bytes"),
            Rule(f"{self.name}.not_html", f"{self.name}.is_html", "", min_kept=1),
        )

    def build(self) -> Stage:
        return PageStage(self.name, self.columns())


class PageStage:
    def __init__(self, name: str, columns: pa.Schema) -> None:
        self._name, self._columns = name, columns

    def __call__(self, batch: Batch) -> Batch:
        if "payload" not in batch.schema.names:
            return with_columns(batch, {field.name: pa.nulls(batch.num_rows, field.type) for field in self._columns})
        payloads = [p.as_buffer() for p in batch["payload"]]  # not copied
        types = batch["content_type"].to_pylist()
        revisits = [kind == "revisit" for kind in batch["record_type"].to_pylist()]
        metrics = {
            "is_revisit": [int(r) for r in revisits],
            "status": batch["http_status"].to_pylist(),
            "is_html": [
                None if p is None or r else int(_is_html(p, t))
                for p, t, r in zip(payloads, types, revisits, strict=True)
            ],
            "num_bytes": [None if p is None or r else len(p) for p, r in zip(payloads, revisits, strict=True)],
        }
        columns = {f"{self._name}.{n}": pa.array(v, pa.int64()) for n, v in metrics.items()}
        return with_columns(batch, columns | {f"{self._name}.refers_to": batch["refers_to"]})


def _is_html(payload: pa.Buffer, content_type: str | None) -> bool:
    if content_type in _HTML:
        return True
    head = _ascii_compatible(payload[:_SNIFF_BYTES].to_pybytes())
    if content_type in _XML or head.lstrip().startswith(b"<?xml"):
        return _ROOT.search(head) is not None
    if content_type in _UNKNOWN and _OPENING.match(head):
        return True
    if content_type not in _UNKNOWN | _DEFAULT or (tag := _TAG.search(head)) is None:
        return False
    return not head[: tag.start()].strip() or _BINARY.search(head) is None


def _ascii_compatible(head: bytes) -> bytes:
    """`head` without its byte-order mark, and without the zeros of UTF-16."""
    mark = next((mark for mark in _BOMS if head.startswith(mark)), b"")
    is_wide = len(mark) == 2 or head[:4].count(0) > 1
    return head[len(mark) :].replace(b"\0", b"") if is_wide else head[len(mark) :]
