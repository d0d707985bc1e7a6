"""Extraction engines on labelled pages, one core, all in one run: `make bench-extract`.

F1 is over the multiset of words (characters in Chinese, Japanese and Thai), the macro mean over pages. A page that the
shipped model was trained on is scored across folds, that is by a model that saw no page of its host: the scores are in
the file beside the model. Other pages are scored as they are extracted. Texts of the peers are kept in a cache, by
version and settings; times are measured anew.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from benchmarks import clean
from benchmarks.peer_engines import PYTHONS, PeerEngine
from benchmarks.rows import ROOT, Rows, median_of, real_crawl, run_on
from cleaners.engines import gristmill
from cleaners.extraction.model import model_path
from cleaners.extraction.training.comparison import Comparison, compare
from cleaners.extraction.training.fold_scores import page_digest, read_fold_scores
from cleaners.extraction.training.pages import TruthPage, crawl_pages, read_truth
from cleaners.extraction.training.score import ScoredPage, Scores, score_page
from cleaners.language_model import LanguageModel, language_model_path

_SETS = ("wcxb-dev", "readability", "trafilatura-eval")
_CHINESE = ROOT / "cleaners" / "extraction" / "training" / "chinese.jsonl"
_PAGES_A_TIMED_ONE = 10
_MIN_PAGES = 20  # of a group that is printed; the JSON file has all
_FIRST_CALL = """
import json, sys, time
began = time.perf_counter()
from cleaners.extraction.engine import Options, extract, load_model, model_path
imported = time.perf_counter()
load_model(model_path())
loaded = time.perf_counter()
extract([b"<p>The mill stands by the river, and it grinds the corn of the valley."], Options())
print(json.dumps([imported - began, loaded - imported, time.perf_counter() - loaded]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--files", type=int, default=2, help="WARC files of the crawl that are timed end to end")
    parser.add_argument("--cache", type=Path, default=ROOT / ".bench-cache", help="gets the texts of the peers")
    parser.add_argument("--scores", action="store_true", help="only compare texts; nothing is timed")
    options = parser.parse_args()
    data = real_crawl()
    rows = Rows("extract")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    if options.scores:
        engines(rows, data, options.cache, timed=False)
        return
    first_call(rows, options.repeats)
    engines(rows, data, options.cache, timed=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        some = folder / "crawl"
        some.mkdir()
        for file in sorted((data / "crawl").glob("*.warc.gz"))[: options.files]:
            (some / file.name).symlink_to(file)
        clean.end_to_end(rows, some, folder, options.repeats, ("gristmill",))
    rows.write()


def first_call(rows: Rows, repeats: int) -> None:
    """Time the first call in a new process, with compiled kernels in their cache as `gristmill models` leaves them."""
    command = [sys.executable, "-c", _FIRST_CALL]
    run_on("0", command)
    for part, what in enumerate(("import", "load the model", "first page")):
        seconds = median_of(repeats, lambda part=part: json.loads(run_on("0", command)[1])[part])  # type: ignore[misc]
        rows.add(f"gristmill in a new process: {what}", seconds, None, "s")


@dataclass
class _Found:
    """Scores of each engine on the same pages, and CPU seconds on some of them."""

    scores: dict[str, list[ScoredPage]]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    kilobytes: list[float] = field(default_factory=list)  # of timed pages
    unseen: int = 0  # pages that the model was trained on, without a score across folds: they are left out


def engines(rows: Rows, data: Path, cache: Path, *, timed: bool) -> None:
    peers = {name: engine for name in PYTHONS if (engine := PeerEngine(name, cache)).version}
    for name in PYTHONS:
        if name not in peers:
            print(f"{name} is left out: it is not installed; `make bench-peers` installs it", file=sys.stderr)
    groups = {}
    for title, pages in (("crawl", _crawl(data)), ("pages2", _pages2(data))):
        found = _scored(pages, peers, timed=timed and title == "crawl")
        if found.unseen:
            print(
                f"{title}: {found.unseen:,} pages are left out: the model was trained on them, and has no file of folds"
            )
        groups[title] = list(compare(found.scores))
        for group in groups[title]:
            what = f"{title}, {group.way} {group.group} ({group.pages:,}), against {group.best_peer}"
            rows.add("F1, " + what, group.f1["gristmill"], group.f1.get(group.best_peer or ""), "F1")
        if groups[title]:
            print("\n".join(["", *_table(groups[title], list(found.scores)), ""]))
        if title == "crawl":
            _snippets(rows, found)
            _times(rows, found)
    for peer in peers.values():
        peer.close()
    path = ROOT / "benchmarks" / "results" / "extract-groups.json"
    versions = {"gristmill": model_path().stem} | {name: peer.version for name, peer in peers.items()}
    lists = {title: [group._asdict() for group in found] for title, found in groups.items()}
    path.write_text(json.dumps({"versions": versions} | lists, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {path.relative_to(ROOT)}")


def _crawl(data: Path) -> Iterator[TruthPage]:
    """Pages of the crawl with labels; those with German snippets have a set of their own."""
    truth = [page for page in read_truth(data / "truth" / "pages.jsonl.gz") if page["set"] in _SETS]
    german = _german(truth)
    wanted = [page | {"set": "German snippets"} if page["url"] in german else page for page in truth]
    yield from crawl_pages([str(data / "crawl")], [*wanted, *read_truth(_CHINESE)], _tell)


def _pages2(data: Path) -> Iterator[TruthPage]:
    folder = data / "pages2"
    if not folder.is_dir():
        print(f"{folder} is not there: the table of its pages is left out", file=sys.stderr)
        return
    yield from crawl_pages([str(folder)], read_truth(folder / "truth.jsonl.gz"), _tell)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _scored(pages: Iterator[TruthPage], peers: dict[str, PeerEngine], *, timed: bool) -> _Found:
    folds = read_fold_scores(model_path())
    card = json.loads(model_path().with_suffix(".json").read_bytes())
    trained_on = {labels["set"] for labels in card["data"]}
    found = _Found({name: [] for name in ("gristmill", *peers)})
    for number, page in enumerate(pages):
        text, seconds = _timed(page)
        score = score_page(page.url, text, page.truth)
        if score.overlap is not None:
            if across := folds.get(page_digest(page.url)):
                score = score._replace(overlap=across)
            elif score.source in trained_on:
                found.unseen += 1
                continue
        found.scores["gristmill"].append(score)
        for name, peer in peers.items():
            found.scores[name].append(score_page(page.url, peer.text(page), page.truth))
        if timed and number % _PAGES_A_TIMED_ONE == 0:
            found.kilobytes.append(len(page.html.encode()) / 1e3)
            found.seconds.setdefault("gristmill", []).append(seconds)
            for name, peer in peers.items():
                found.seconds.setdefault(name, []).append(peer.seconds(page))
    return found


def _timed(page: TruthPage) -> tuple[str, float]:
    began = time.process_time()
    text = gristmill(page.html, page.url, favour="balanced")
    return text, time.process_time() - began


def _snippets(rows: Rows, found: _Found) -> None:
    of_engine = {name: Scores(pages).summary()["sets"].get("German snippets") for name, pages in found.scores.items()}
    ours = of_engine.pop("gristmill")
    for peer, theirs in of_engine.items():
        for part in ("with_found", "without_avoided", "accuracy"):
            if ours and theirs:
                what = f"German snippets: {part.replace('_', ' ')} (trained on them), against {peer}"
                rows.add(what, ours[part], theirs[part], "share")


def _times(rows: Rows, found: _Found) -> None:
    """Means over pages, without the first, on which engines load what they need."""
    ms = {name: 1000 * fmean(seconds[1:]) for name, seconds in found.seconds.items() if len(seconds) > 1}
    for peer in list(ms)[1:]:
        what = f"time a page of {fmean(found.kilobytes):.0f} kB, against {peer}"
        rows.add(what, ms["gristmill"], ms[peer], "ms", less_is_better=True)


def _table(groups: Sequence[Comparison], engines: Sequence[str]) -> Iterator[str]:
    """Markdown, as in docs/performance.md; the best engine of a row is bold."""
    yield f"| pages | number / hosts | {' | '.join(engines)} | ours − best peer |"
    yield f"|---|--:|{'--:|' * len(engines)}---|"
    for group in groups:
        if group.pages < _MIN_PAGES:
            continue
        best = max(group.f1.values())
        f1 = [f"**{_short(value)}**" if value == best else _short(value) for value in group.f1.values()]
        lead = "–" if group.difference is None else f"{group.best_peer} {_signed(group.difference)}"
        if group.interval:
            lead += f" [{', '.join(map(_signed, group.interval))}]"
        yield f"| {group.group} | {group.pages:,} / {group.hosts:,} | {' | '.join(f1)} | {lead} |"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _signed(value: float) -> str:
    return ("−" if value < 0 else "+") + _short(abs(value))


def _german(truth: list[dict[str, object]]) -> set[str]:
    """Addresses of pages whose snippets are German by the language model."""
    pages = [page for page in truth if page["set"] == "trafilatura-eval"]
    texts = [" ".join([*page["with"], *page["without"]]) for page in pages]  # type: ignore[misc]
    predicted = LanguageModel(language_model_path()).identify(texts)
    return {str(page["url"]) for page, (language, _) in zip(pages, predicted, strict=True) if language == "de"}


if __name__ == "__main__":
    main()
