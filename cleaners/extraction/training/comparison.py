"""Engines compared on the same labelled pages: by set, language, type of page and length of label."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from cleaners.assets.domain_lines import host_of
from cleaners.extraction.training.score import LENGTHS, ScoredPage, difference

WAYS: dict[str, Callable[[ScoredPage], str]] = {
    "set": lambda page: page.source,
    "language": lambda page: page.language,
    "type": lambda page: page.kind,
    "label": lambda page: page.length,
}


class Comparison(NamedTuple):
    """F1 of engines on a group of pages, and by how much the first engine is better than the best of the others."""

    way: str  # one of `WAYS`, or "all"
    group: str
    pages: int
    hosts: int
    f1: dict[str, float]
    best_peer: str | None
    difference: float | None
    interval: list[float] | None  # 95 %, a bootstrap over hosts


def compare(scores: Mapping[str, Sequence[ScoredPage]]) -> Iterator[Comparison]:
    """All pages, and the groups of each way, the largest first; labels by their length.

    The engines have the same pages in the same order. Pages without `main_content` are left out, and so are pages
    without a language where groups are languages.
    """
    rows = [row for row in zip(*scores.values(), strict=True) if row[0].overlap is not None]
    if rows:
        yield _comparison("all", "all", list(scores), rows)
    for way, group_of in WAYS.items():
        groups: dict[str, list[tuple[ScoredPage, ...]]] = {}
        for row in rows:
            groups.setdefault(group_of(row[0]), []).append(row)
        groups.pop("", None)
        names = sorted(groups, key=lambda name: LENGTHS.index(name) if way == "label" else (-len(groups[name]), name))
        for name in names:
            yield _comparison(way, name, list(scores), groups[name])


def _comparison(way: str, group: str, names: Sequence[str], rows: Sequence[tuple[ScoredPage, ...]]) -> Comparison:
    by_engine = dict(zip(names, zip(*rows, strict=True), strict=True))
    f1 = {name: fmean(page.overlap.f1 for page in pages if page.overlap) for name, pages in by_engine.items()}
    hosts = len({host_of(row[0].url) for row in rows})
    ours, *peers = names
    if not peers:
        return Comparison(way, group, len(rows), hosts, f1, None, None, None)
    best = max(peers, key=lambda name: f1[name])
    lead = difference(by_engine[ours], by_engine[best])
    return Comparison(way, group, len(rows), hosts, f1, best, lead["f1"], lead["f1_interval"])
