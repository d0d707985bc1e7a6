"""Scores of extracted text against labels, for one page and for an engine over many."""

import itertools
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from cleaners.assets.domain_lines import host_of

_DRAWS = 1_000
_NUM_WORST = 10
_WORD, _CHARACTER = re.compile(r"\w+"), re.compile(r"\w")
_UNSPACED = ("zh", "ja", "th")  # languages that are scored over characters
_BOUNDS = (100, 200, 400, 800, 1600)  # words of labels

LENGTHS = (
    f"under {_BOUNDS[0]} words",
    *(f"{least} to {most - 1} words" for least, most in itertools.pairwise(_BOUNDS)),
    f"{_BOUNDS[-1]} words and more",
)

Engine = Callable[[str, str], str]  # HTML and URL to text


def f1(text: str, truth: str, language: str = "") -> float:
    """F1 over the multiset of words (`\\w+`, in lower case), 1 if both texts are empty.

    In Chinese, Japanese and Thai (`language` zh, ja, th) it is over characters. Otherwise, a run of Chinese characters
    without punctuation is one word.
    """
    return overlap(text, truth, language).f1


class Overlap(NamedTuple):
    """Numbers of words of a text, of the truth, and of both."""

    common: int
    found: int
    wanted: int

    @property
    def f1(self) -> float:
        return 2 * self.common / (self.found + self.wanted) if self.found or self.wanted else 1.0

    @property
    def precision(self) -> float:
        return self.common / self.found if self.found else float(not self.wanted)

    @property
    def recall(self) -> float:
        return self.common / self.wanted if self.wanted else float(not self.found)


def overlap(text: str, truth: str, language: str = "") -> Overlap:
    words, wanted = (Counter(_units(side, language)) for side in (text, truth))
    return Overlap((words & wanted).total(), words.total(), wanted.total())


def _units(text: str, language: str) -> list[str]:
    return (_CHARACTER if is_unspaced(language) else _WORD).findall(text.lower())


def is_unspaced(language: str) -> bool:
    """Whether pages of the language, such as `zh` or `zh-TW`, are scored over characters."""
    return re.split("[-_]", language.lower())[0] in _UNSPACED


def length_of(text: str, language: str = "") -> str:
    """The class of length of a label, such as "100 to 199 words". Two characters of an unspaced language are a word."""
    words = len(_units(text, language)) / (1 + is_unspaced(language))
    return LENGTHS[sum(words >= least for least in _BOUNDS)]


class ScoredPage(NamedTuple):
    """The score of one page."""

    url: str
    kind: str  # `page_type` of the truth, or its `set`
    source: str  # `set`
    language: str  # `language`, or ""
    length: str  # one of `LENGTHS`, or "" without `main_content`
    overlap: Overlap | None  # None without `main_content`
    found: int  # snippets of `with` that the text has
    num_with: int
    avoided: int  # snippets of `without` that it does not have
    num_without: int


def score_page(url: str, text: str, truth: dict[str, Any]) -> ScoredPage:
    source, language = (str(truth.get(key) or "") for key in ("set", "language"))
    folded = " ".join(text.split())
    inside, outside = ([" ".join(s.split()) for s in truth.get(key) or ()] for key in ("with", "without"))
    content = truth.get("main_content")
    return ScoredPage(
        url,
        str(truth.get("page_type") or source),
        source,
        language,
        length_of(content, language) if content is not None else "",
        overlap(text, content, language) if content is not None else None,
        sum(snippet in folded for snippet in inside),
        len(inside),
        sum(snippet not in folded for snippet in outside),
        len(outside),
    )


@dataclass
class Scores:
    """Scores and times of one engine."""

    pages: list[ScoredPage] = field(default_factory=list)
    seconds: float = 0.0  # CPU time of all calls after the first
    first_call: float = 0.0  # CPU seconds

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
        """The dict that `gristmill extractor score --json` prints: F1 of pages with `main_content`, by type and by set.

        `types`, `sets`, `languages` and `lengths` (of labels) hold the number of pages and the scores by snippets, too.
        """
        labelled = [page for page in self.pages if page.overlap is not None]
        by_length = dict(_grouped(labelled, "length"))
        worst = sorted(labelled, key=lambda page: (_f1(page), page.url))[:_NUM_WORST]
        return {
            "pages": len(self.pages),
            "f1": fmean(map(_f1, labelled)) if labelled else None,
            "f1_interval": interval(labelled, [_f1(page) for page in labelled]),
            "precision": fmean(page.overlap.precision for page in labelled if page.overlap) if labelled else None,
            "recall": fmean(page.overlap.recall for page in labelled if page.overlap) if labelled else None,
            "by_type": {kind: fmean(map(_f1, pages)) for kind, pages in _grouped(labelled, "kind")},
            "by_set": {source: fmean(map(_f1, pages)) for source, pages in _grouped(labelled, "source")},
            "types": {kind: _group_score(pages) for kind, pages in _grouped(self.pages, "kind")},
            "sets": {source: _group_score(pages) for source, pages in _grouped(self.pages, "source")},
            "languages": {name: _group_score(pages) for name, pages in _grouped(self.pages, "language") if name},
            "lengths": {name: _group_score(by_length[name]) for name in LENGTHS if name in by_length},
            "ms_per_page": 1000 * self.seconds / (len(self.pages) - 1) if len(self.pages) > 1 else None,
            "first_call_s": self.first_call,
            "worst": [{"url": page.url, "type": page.kind, "f1": _f1(page)} for page in worst],
        }


def difference(ours: Sequence[ScoredPage], theirs: Sequence[ScoredPage]) -> dict[str, Any]:
    """The mean difference of F1 on the same pages, in the same order."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.overlap is not None]
    values = [_f1(a) - _f1(b) for a, b in pairs]
    return {"f1": fmean(values) if values else None, "f1_interval": interval([a for a, _ in pairs], values)}


def interval(pages: Sequence[ScoredPage], values: Sequence[float]) -> list[float] | None:
    """A 95 % interval of the mean, or None with fewer than two hosts.

    It is a bootstrap over hosts, since pages of one host are similar.
    """
    by_host: dict[str, list[float]] = defaultdict(list)
    for page, value in zip(pages, values, strict=True):
        by_host[host_of(page.url)].append(value)
    if len(by_host) < 2:
        return None
    sums = np.array([sum(of_host) for of_host in by_host.values()])
    numbers = np.array([len(of_host) for of_host in by_host.values()])
    drawn = np.random.default_rng(0).integers(0, len(sums), (_DRAWS, len(sums)))
    means = sums[drawn].sum(1) / numbers[drawn].sum(1)
    return [float(end) for end in np.quantile(means, (0.025, 0.975))]


def _f1(page: ScoredPage) -> float:
    return page.overlap.f1 if page.overlap else 0.0


def _grouped(pages: Sequence[ScoredPage], name: str) -> Iterator[tuple[str, list[ScoredPage]]]:
    by_value: dict[str, list[ScoredPage]] = defaultdict(list)
    for page in pages:
        by_value[getattr(page, name)].append(page)
    yield from sorted(by_value.items(), key=lambda item: (-len(item[1]), item[0]))


def _group_score(pages: Sequence[ScoredPage]) -> dict[str, Any]:
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
