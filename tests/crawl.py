"""Small crawls for tests: WARC files made record by record with warcio, an implementation that is not ours."""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

SENTENCES = (
    "The mill stands by the river and it has ground the corn of the valley for three hundred years.",
    "Every autumn the farmers bring their wheat to the miller, who weighs it on a pair of iron scales.",
    "Water falls on the great wheel, and the wheel turns a shaft that drives the two stones in the house.",
    "One of the stones lies still while the other turns above it with a sound that is heard in the village.",
    "Flour that comes from the stones is sifted with care, and the bran is kept for the animals of the farm.",
    "When the river is low in a dry summer, the miller waits for rain and mends the wooden teeth of the gears.",
    "Nobody in the village can say who built the dam, but the oldest map that we have shows it in this place.",
    "The bread that is baked of this flour has a dark crust and a taste of nuts that people come from afar to buy.",
)


def sentences(i: int) -> list[str]:
    """Eight sentences of page i alone, in good running English."""
    return [
        s.replace(".", f" and this was seen in the year {1000 + 37 * i + 11 * k}.") for k, s in enumerate(SENTENCES)
    ]


def article(title: str, text: Iterable[str] = SENTENCES) -> str:
    """A plain page with navigation, a body of two paragraphs, and a footer."""
    text = list(text)
    half = len(text) // 2
    body = "".join(f"<p>{' '.join(part)}</p>" for part in (text[:half], text[half:]) if part)
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title></head><body><nav><a href='/'>Home</a> <a href='/x'>Shop</a>"
        f"</nav><main><article><h1>{title}</h1>{body}</article></main><footer>Imprint</footer></body></html>"
    )


@dataclass
class Crawl:
    """Collects records; `write` makes the file."""

    gzip: bool = True
    buffer: io.BytesIO = field(default_factory=io.BytesIO)

    def __post_init__(self) -> None:
        self._writer = WARCWriter(self.buffer, gzip=self.gzip)
        self._count = 0

    def page(
        self,
        url: str,
        html: str | bytes,
        *,
        date: str = "2024-01-01T00:00:00Z",
        content_type: str = "text/html; charset=utf-8",
        status: str = "200 OK",
        kind: str = "response",
        record_id: str | None = None,
    ) -> "Crawl":
        self._count += 1
        body = html.encode() if isinstance(html, str) else html
        http = StatusAndHeaders(status, [("Content-Type", content_type)], protocol="HTTP/1.1")
        headers = {
            "WARC-Date": date,
            "WARC-Record-ID": record_id or f"<urn:uuid:00000000-0000-0000-0000-{self._count:012d}>",
        }
        record = self._writer.create_warc_record(
            url, kind, io.BytesIO(body), http_headers=http, warc_headers_dict=headers
        )
        self._writer.write_record(record)
        return self

    def other(self, kind: str) -> "Crawl":
        self._count += 1
        headers = {"WARC-Record-ID": f"<urn:uuid:00000000-0000-0000-0000-{self._count:012d}>"}
        content = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n" if kind == "request" else b"key: value\r\n"
        record = self._writer.create_warc_record(
            "https://example.org/", kind, io.BytesIO(content), warc_headers_dict=headers,
            warc_content_type="application/http" if kind == "request" else "application/warc-fields",
        )  # fmt: skip
        self._writer.write_record(record)
        return self

    @property
    def data(self) -> bytes:
        return self.buffer.getvalue()

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data)
        return path


# A recipe that is fast in tests: resiliparse's extraction, and a stage of each sort.
RECIPE = """
[source.web]
kind = "warc"

[[stage]]
kind = "page"

[[stage]]
kind = "extract"
engine = "resiliparse"

[[stage]]
kind = "gopher_quality"

[[stage]]
kind = "exact"

[[stage]]
kind = "minhash"
name = "near"
bands = 14
rows = 8
"""
