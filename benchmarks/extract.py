"""Extraction engines on labelled pages, one core, all in one run: `make bench-extract`.

F1 is over the multiset of words, the macro mean over pages. The shipped model was trained on the labelled pages. So
its figures on them are those across folds, from its card: each page is scored by a model that saw no page of its
host.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import clean
from benchmarks.rows import Rows, median_of, real_crawl, run_on
from cleaners.extraction.model import model_path
from cleaners.extraction.training.pages import crawl_pages, read_truth
from cleaners.extraction.training.score import Scores
from cleaners.language import language_model_path, load_model, predict
from pipelines.tuning.extractor import engine_of

_SETS = ("wcxb-dev", "readability", "trafilatura-eval")
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
    options = parser.parse_args()
    data = real_crawl()
    rows = Rows("extract")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    first_call(rows, options.repeats)
    engines(rows, data)
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


def engines(rows: Rows, data: Path) -> None:
    truth = [page for page in read_truth(data / "truth" / "pages.jsonl.gz") if page["set"] in _SETS]
    german = _german(truth)
    run = {
        "gristmill": engine_of("gristmill"),
        "trafilatura": engine_of("trafilatura"),
        "trafilatura fast": _fast,
        "resiliparse": engine_of("resiliparse"),
    }
    scores = {name: Scores() for name in run}
    num_bytes = 0
    for page in crawl_pages([str(data / "crawl")], truth, lambda line: print(line, file=sys.stderr)):
        labels = page.truth | {"set": "German snippets"} if page.url in german else page.truth
        num_bytes += len(page.html.encode())
        for name, engine in run.items():
            scores[name].add(engine, page.html, page.url, labels)
    summaries = {name: score.summary() for name, score in scores.items()}
    card = json.loads(model_path().with_suffix(".json").read_bytes())
    ours = summaries["gristmill"]
    for peer in list(run)[1:]:
        theirs = summaries[peer]
        dev = card["by_set"]["wcxb-dev"]["f1"]
        rows.add("F1 on wcxb-dev, across folds, against " + peer, dev, theirs["by_set"]["wcxb-dev"], "F1")
        for kind in card["by_type"]:
            if kind in theirs["by_type"]:
                what = f"F1, {kind} ({card['by_type'][kind]['pages']}), across folds, against {peer}"
                rows.add(what, card["by_type"][kind]["f1"], theirs["by_type"][kind], "F1")
        for part in ("with_found", "without_avoided", "accuracy"):
            what = f"German snippets: {part.replace('_', ' ')} (trained on them), against {peer}"
            rows.add(what, ours["sets"]["German snippets"][part], theirs["sets"]["German snippets"][part], "share")
        what = f"time a page of {num_bytes / ours['pages'] / 1e3:.0f} kB, against {peer}"
        rows.add(what, ours["ms_per_page"], theirs["ms_per_page"], "ms", less_is_better=True)


def _german(truth: list[dict[str, object]]) -> set[str]:
    """Addresses of pages whose snippets are German by the language model."""
    pages = [page for page in truth if page["set"] == "trafilatura-eval"]
    texts = [" ".join([*page["with"], *page["without"]]) for page in pages]  # type: ignore[misc]
    predicted = predict(load_model(language_model_path()), texts)
    return {str(page["url"]) for page, (language, _) in zip(pages, predicted, strict=True) if language == "de"}


def _fast(html: str, url: str) -> str:
    from trafilatura import extract

    return extract(html, url=url, include_comments=False, include_tables=True, fast=True) or ""


if __name__ == "__main__":
    main()
