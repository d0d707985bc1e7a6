"""What a page says to those who would use it: robots directives, and reservations of text and data mining.

    X-Robots-Tag: noindex, ccbot: noai          head of the response
    <meta name="robots" content="noai">         head of the page
    TDM-Reservation: 1                          the same, as a header or a meta element

Directives for a robot that is not named in `agents` say nothing here. A site's own files, `robots.txt`, which crawlers
heed, and `/.well-known/tdmrep.json`, are no part of a page's record.

Sources: https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag for robots meta elements and
X-Robots-Tag; https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/ for the TDM Reservation Protocol;
`noai` is DeviantArt's word, which others have taken up.
"""

import html
import re
from collections.abc import Iterable
from typing import ClassVar

import pyarrow as pa

from cleaners.thresholds import Threshold
from shards.stage import Batch, Rule, Stage, StageConfig, with_columns

METRICS = ("noindex", "noai", "tdm_reserved")

_NOINDEX, _NOAI = {"noindex", "none"}, {"noai"}  # "none" is noindex and nofollow
_HEAD_BYTES = 256 << 10  # of a page in which meta elements are looked for, unless its body begins before
_BODY = re.compile(rb"<body[\s>]", re.I)
_META = re.compile(rb"<meta\s([^>]{1,2000})>", re.I)
_ATTRIBUTE = re.compile(r"""([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.I)
_AGENT = re.compile(r"\s*([a-z0-9_-]+)\s*:\s*(.*)", re.I | re.S)
_DIRECTIVES_WITH_VALUES = {"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"}


class OptOutConfig(StageConfig):
    """Kind `opt_out`, between `page` and `extract`. Each metric is 1 where the page says so, else 0."""

    stops: ClassVar[bool] = True
    reads_pages: ClassVar[bool] = True

    name: str = "opt_out"
    agents: tuple[str, ...] = ("ccbot",)  # robots whose own directives count, besides those for all; in lower case
    max_noindex: Threshold[int] = None  # a page may be unwanted in search results and free to read
    max_noai: Threshold[int] = 0
    max_tdm_reserved: Threshold[int] = 0

    def columns(self) -> pa.Schema:
        return pa.schema([(f"{self.name}.{metric}", pa.int64()) for metric in METRICS])

    def rules(self) -> tuple[Rule, ...]:
        settings = {metric: f"max_{metric}" for metric in METRICS}
        return tuple(
            self.rule(metric, metric, setting)
            for metric, setting in settings.items()
            if getattr(self, setting) is not None
        )

    def build(self) -> Stage:
        return OptOutStage(self.name, frozenset(agent.lower() for agent in self.agents))


class OptOutStage:
    def __init__(self, name: str, agents: frozenset[str]) -> None:
        self._name, self._agents = name, agents

    def __call__(self, batch: Batch) -> Batch:
        found: list[tuple[int | None, ...]] = [(None,) * len(METRICS)] * batch.num_rows
        if "payload" in batch.schema.names:
            said = zip(*(batch[name].to_pylist() for name in ("http_robots", "http_tdm")), strict=True)
            found = [
                (None,) * len(METRICS) if head is None else self._of(head, robots or "", reserved or "")
                for head, (robots, reserved) in zip(_heads(batch["payload"]), said, strict=True)
            ]
        columns = zip(*found, strict=True) if found else [()] * len(METRICS)
        return with_columns(
            batch,
            {
                f"{self._name}.{metric}": pa.array(column, pa.int64())
                for metric, column in zip(METRICS, columns, strict=True)
            },
        )

    def _of(self, head: bytes, robots: str, reserved: str) -> tuple[int, ...]:
        directives = set(self._directives(robots.split("\n")))
        is_reserved = reserved.strip() == "1"
        body = _BODY.search(head)
        for element in _META.finditer(head, 0, len(head) if body is None else body.start()):
            about = _attributes(element[1])
            name, content = about.get("name", "").lower(), about.get("content", "")
            if name == "robots" or name in self._agents:
                directives.update(_words(content))
            is_reserved |= name == "tdm-reservation" and content.strip() == "1"
        return int(bool(directives & _NOINDEX)), int(bool(directives & _NOAI)), int(is_reserved)

    def _directives(self, values: Iterable[str]) -> Iterable[str]:
        """The directives of X-Robots-Tag headers; a robot's name holds for what follows it in the same header."""
        for value in values:
            counts = True
            for part in value.split(","):
                named = _AGENT.match(part)
                if named is not None and named[1].lower() not in _DIRECTIVES_WITH_VALUES:
                    counts, part = named[1].lower() in self._agents, named[2]
                if counts:
                    yield from _words(part)


def _heads(payloads: pa.Array) -> Iterable[bytes | None]:
    return (page.as_buffer()[:_HEAD_BYTES].to_pybytes() if page.is_valid else None for page in payloads)


def _words(content: str) -> list[str]:
    return [word.strip().lower() for word in content.split(",")]


def _attributes(element: bytes) -> dict[str, str]:
    """The attributes of a meta element by name; the first of a name counts."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(element.decode("latin-1")):
        found.setdefault(match[1].lower(), html.unescape(match[2] or match[3] or match[4] or ""))
    return found
