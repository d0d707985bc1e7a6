"""How near a text comes to the main text of its page as somebody labelled it; what an engine reaches on such pages."""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from cleaners.assets.domains import host_of

_DRAWS = 1_000
_NUM_WORST = 10
_WORD = re.compile(r"\w+")

Engine = Callable[[str, str], str]  # HTML and URL to text


def f1(text: str, truth: str) -> float:
    """F1 over the multiset of words (`\\w+`, in small letters); 1 where both are empty. A run of Chinese characters
    between two marks is one word."""
    return overlap(text, truth).f1


class Overlap(NamedTuple):
    f1: float
    precision: float
    recall: float


def overlap(text: str, truth: str) -> Overlap:
    found, wanted = (Counter(_WORD.findall(given.lower())) for given in (text, truth))
    if not found or not wanted:
        equal = float(found == wanted)
        return Overlap(equal, equal, equal)
    common = (found & wanted).total()
    return Overlap(2 * common / (found.total() + wanted.total()), common / found.total(), common / wanted.total())


class Scored(NamedTuple):
    """One page."""

    url: str
    kind: str  # `page_type` of the truth, or its `set`
    source: str  # `set`
    overlap: Overlap | None  # None without `main_content`
    found: int  # of the snippets `with`
    num_with: int
    avoided: int  # of the snippets `without`
    num_without: int


def score_page(url: str, text: str, truth: dict[str, Any]) -> Scored:
    source = str(truth.get("set") or "")
    folded = " ".join(text.split())
    inside, outside = ([" ".join(s.split()) for s in truth.get(key) or ()] for key in ("with", "without"))
    content = truth.get("main_content")
    return Scored(
        url,
        str(truth.get("page_type") or source),
        source,
        overlap(text, content) if content is not None else None,
        sum(snippet in folded for snippet in inside),
        len(inside),
        sum(snippet not in folded for snippet in outside),
        len(outside),
    )


@dataclass
class Scores:
    """Of one engine."""

    pages: list[Scored] = field(default_factory=list)
    seconds: float = 0.0  # CPU of the engine, but of its first call
    first_call: float = 0.0

    def add(self, engine: Engine, html: str, url: str, truth: dict[str, Any]) -> None:
        start = time.process_time()
        text = engine(html, url)
        spent = time.process_time() - start
        if self.pages:
            self.seconds += spent
        else:
            self.first_call = spent
        self.pages.append(score_page(url, text, truth))

    def summary(self) -> dict[str, Any]:
        """As `gristmill extractor score --json` prints it: F1 of all pages with `main_content`, by type and by set; of
        `types` and `sets` the number of pages and what snippets tell, too."""
        labelled = [page for page in self.pages if page.overlap is not None]
        worst = sorted(labelled, key=lambda page: (_f1(page), page.url))[:_NUM_WORST]
        return {
            "pages": len(self.pages),
            "f1": fmean(map(_f1, labelled)) if labelled else None,
            "f1_interval": interval(labelled, [_f1(page) for page in labelled]),
            "precision": fmean(page.overlap.precision for page in labelled if page.overlap) if labelled else None,
            "recall": fmean(page.overlap.recall for page in labelled if page.overlap) if labelled else None,
            "by_type": {kind: fmean(map(_f1, pages)) for kind, pages in _by(labelled, "kind")},
            "by_set": {source: fmean(map(_f1, pages)) for source, pages in _by(labelled, "source")},
            "types": {kind: _group(pages) for kind, pages in _by(self.pages, "kind")},
            "sets": {source: _group(pages) for source, pages in _by(self.pages, "source")},
            "ms_per_page": 1000 * self.seconds / (len(self.pages) - 1) if len(self.pages) > 1 else None,
            "first_call_s": self.first_call,
            "worst": [{"url": page.url, "type": page.kind, "f1": _f1(page)} for page in worst],
        }


def difference(ours: Sequence[Scored], theirs: Sequence[Scored]) -> dict[str, Any]:
    """F1 of the first less that of the second, on the same pages in one order."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.overlap is not None]
    values = [_f1(a) - _f1(b) for a, b in pairs]
    return {"f1": fmean(values) if values else None, "f1_interval": interval([a for a, _ in pairs], values)}


def interval(pages: Sequence[Scored], values: Sequence[float]) -> list[float] | None:
    """95 % of the mean, by drawing whole hosts: pages of one host are alike. None of fewer than two hosts."""
    by_host: dict[str, list[float]] = defaultdict(list)
    for page, value in zip(pages, values, strict=True):
        by_host[host_of(page.url)].append(value)
    if len(by_host) < 2:
        return None
    sums = np.array([sum(of_host) for of_host in by_host.values()])
    numbers = np.array([len(of_host) for of_host in by_host.values()])
    drawn = np.random.default_rng(0).integers(0, len(sums), (_DRAWS, len(sums)))
    means = sums[drawn].sum(1) / numbers[drawn].sum(1)
    return [float(bound) for bound in np.quantile(means, (0.025, 0.975))]


def _f1(page: Scored) -> float:
    return page.overlap.f1 if page.overlap else 0.0


def _by(pages: Sequence[Scored], name: str) -> Iterator[tuple[str, list[Scored]]]:
    groups: dict[str, list[Scored]] = defaultdict(list)
    for page in pages:
        groups[getattr(page, name)].append(page)
    yield from sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def _group(pages: Sequence[Scored]) -> dict[str, Any]:
    labelled = [page for page in pages if page.overlap is not None]
    out: dict[str, Any] = {"pages": len(pages)}
    if labelled:
        out["f1"] = fmean(map(_f1, labelled))
    num_with, num_without = sum(page.num_with for page in pages), sum(page.num_without for page in pages)
    if num_with and num_without:
        found, avoided = sum(page.found for page in pages), sum(page.avoided for page in pages)
        out |= {
            "with_found": found / num_with,
            "without_avoided": avoided / num_without,
            "accuracy": (found + avoided) / (num_with + num_without),
        }
    return out
