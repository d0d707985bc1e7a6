"""Title, authors and date of labelled pages, beside trafilatura and htmldate, one core: `make bench-metadata`.

The labels are those of `pages2` that have them (255 pages of two sets). A field is right or wrong
(`cleaners.extraction.training.metadata_score`). All get the page and its address. htmldate and ours also get the day on
which the page was fetched, where the set tells it; trafilatura takes any day until today.
"""

import time
from collections import defaultdict
from collections.abc import Callable

from benchmarks.rows import Rows, real_crawl
from cleaners.extraction.engine import declared
from cleaners.extraction.training.metadata_score import FIELDS, MetadataScores
from cleaners.extraction.training.pages import TruthPage, crawl_pages, read_truth

_FETCHED = "2026-09-01"  # the day of the records, where a set does not tell when it fetched a page
_PEER = "trafilatura"

Engine = Callable[[TruthPage, str], dict[str, str | None]]


def main() -> None:
    folder = real_crawl() / "pages2"
    truth = [page for page in read_truth(folder / "truth.jsonl.gz") if any(page.get(name) for name in FIELDS)]
    pages = list(crawl_pages([str(folder)], truth, print))
    engines: dict[str, Engine] = {"gristmill": _ours, _PEER: _trafilatura, "htmldate": _htmldate}
    scores = {name: score(engine, pages) for name, engine in engines.items()}
    rows = Rows("metadata")
    for group in ("all", *sorted({str(page["set"]) for page in truth})):
        for name in FIELDS:
            ours, theirs = scores["gristmill"][group], scores[_PEER][group]
            what = f"{name}: right, of {ours.labelled[name]:,} pages ({group}), against {_PEER}"
            rows.add(what, ours.share_right(name), theirs.share_right(name), "share")
            rows.add(f"{name}: none given ({group})", ours.share_empty(name), theirs.share_empty(name), "share")
        dates = scores["htmldate"][group].share_right("date")
        rows.add(
            f"date: right ({group}), against htmldate", scores["gristmill"][group].share_right("date"), dates, "share"
        )
    for peer in (_PEER, "htmldate"):
        ours_ms, peer_ms = (1000 * seconds(engines[name], pages) / len(pages) for name in ("gristmill", peer))
        rows.add(f"time a page, parsing included, against {peer}", ours_ms, peer_ms, "ms", less_is_better=True)
    rows.write()


def score(engine: Engine, pages: list[TruthPage]) -> dict[str, MetadataScores]:
    """The scores of all pages, and of those of each set."""
    out: dict[str, MetadataScores] = defaultdict(MetadataScores)
    for page in pages:
        found = engine(page, str(page.truth.get("crawled") or _FETCHED))
        for group in ("all", str(page.truth["set"])):
            out[group].add(found, page.truth)
    return out


def seconds(engine: Engine, pages: list[TruthPage]) -> float:
    """CPU seconds for all pages."""
    began = time.process_time()
    for page in pages:
        engine(page, _FETCHED)
    return time.process_time() - began


def _ours(page: TruthPage, fetched: str) -> dict[str, str | None]:
    found = declared(page.html.encode(), page.url, fetched)
    return {"title": found.title, "author": found.author, "date": found.date}


def _trafilatura(page: TruthPage, _fetched: str) -> dict[str, str | None]:
    from trafilatura.metadata import extract_metadata

    found = extract_metadata(page.html, default_url=page.url)
    return {"title": found.title, "author": found.author, "date": found.date}


def _htmldate(page: TruthPage, fetched: str) -> dict[str, str | None]:
    from htmldate import find_date

    return {"date": find_date(page.html, url=page.url, original_date=True, max_date=fetched)}


if __name__ == "__main__":
    main()
