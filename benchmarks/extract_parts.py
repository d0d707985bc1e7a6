"""Milliseconds a page by part of our extractor, on real pages, one core: `make bench-extract-parts`.

A part is what a batch takes longer if it goes one part further; each time is the least of several. The machine's own
measure stands beside it: checking that the same bytes are UTF-8, and finding every "<" among them.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.rows import Rows, real_crawl
from cleaners.extraction.calibration import calibrated
from cleaners.extraction.choice import expected_f1, main_blocks
from cleaners.extraction.engine import Options, extract, extract_batch
from cleaners.extraction.features.block_features import write_features
from cleaners.extraction.features.columns import NUM_FEATURES
from cleaners.extraction.features.context import NUM_CONTEXT, write_context
from cleaners.extraction.features.page import containers_of, read_page
from cleaners.extraction.features.template_counts import with_parents
from cleaners.extraction.forest import blank_columns, predict_columns
from cleaners.extraction.html.search import find
from cleaners.extraction.html.tree import parse
from cleaners.extraction.model import load_model, model_path
from cleaners.extraction.plain_text import max_plain_text_bytes, write_plain_text
from cleaners.extraction.rewriting import rewritten
from cleaners.extraction.training.pages import crawl_pages, read_truth
from shards.compiled import kernel

PARTS = (
    "parse",
    "blocks, tokens, measures",
    "features",
    "first forest",
    "context",
    "second forest",
    "choice",
    "formulas, raised text, listings",
    "text",
)
_SETS = ("wcxb-dev", "readability", "trafilatura-eval")


@kernel
def up_to(part, data, offsets, model):
    """Extract the pages of a batch up to a part; return a number that depends on all that was computed."""
    total = np.float64(0)
    for row in range(len(offsets) - 1):
        html = data[offsets[row] : offsets[row + 1]]
        if part == 0:
            total += len(parse(html).nodes)
            continue
        page = read_page(html)
        number = len(page.blocks)
        total += number
        if part == 1 or number == 0:
            continue
        containers = containers_of(page)
        columns = blank_columns(number, NUM_FEATURES + NUM_CONTEXT)
        x = columns[:, :number].T
        write_features(html, page, containers, model.linear, x)
        total += x[0, 0]
        if part == 2:
            continue
        p = predict_columns(model.first, columns, number)
        total += p[0]
        if part == 3:
            continue
        signatures = with_parents(page.signatures, page.tree.nodes)
        write_context(page, containers, signatures, p, x[:, NUM_FEATURES:])
        total += x[0, NUM_FEATURES]
        if part == 4:
            continue
        p = predict_columns(model.second, columns, number)
        total += p[0]
        if part == 5:
            continue
        chosen = main_blocks(page, p)
        total += calibrated(model.calibration, expected_f1(page.measured.measures, p, chosen))
        if part == 6:
            continue
        html, page, chosen = rewritten(html, page, chosen)
        total += len(html)
        if part == 7:
            continue
        out = np.empty(max_plain_text_bytes(page, chosen), np.uint8)
        total += write_plain_text(html, page, chosen, out, 0)
    return total


@kernel
def num_less(data):
    """The number of "<" in the bytes."""
    number, i = 0, find(data, 0, 60)
    while i < len(data):
        number += 1
        i = find(data, i + 1, 60)
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    truth = [page for page in read_truth(real_crawl() / "truth" / "pages.jsonl.gz") if page["set"] in _SETS]
    found = [page.html.encode() for page in crawl_pages([str(real_crawl() / "crawl")], truth, print)]
    pages = found[:: max(1, len(found) // options.pages)]
    offsets = np.cumsum([0, *map(len, pages)])
    joined = b"".join(pages)
    data, model = np.frombuffer(joined, np.uint8), load_model(model_path())
    rows = Rows("extract_parts")
    runs: dict[str, Callable[[], object]] = {
        "UTF-8 check": lambda: [page.decode() for page in pages],
        'every "<"': lambda: num_less(data),
        **{name: lambda part=part: up_to(part, data, offsets, model) for part, name in enumerate(PARTS)},  # type: ignore[misc]
        "extract_batch": lambda: extract_batch(data, offsets, model, False),
        "extract": lambda: [extract(pages[at : at + 20], Options()) for at in range(0, len(pages), 20)],
    }
    least = dict.fromkeys(runs, np.inf)
    for _ in range(options.repeats + 1):  # the first compiles
        for name, run in runs.items():
            began = time.process_time()
            run()
            least[name] = min(least[name], (time.process_time() - began) * 1e3 / len(pages))
    before = 0.0
    for name in PARTS:
        rows.add(f"{name}: ms a page of {len(joined) / len(pages) / 1e3:.0f} kB", least[name] - before, None, "ms")
        before = least[name]
    for name in ("UTF-8 check", 'every "<"', "extract_batch", "extract"):
        rows.add(f"{name}: ms a page", least[name], None, "ms")
    rows.add("extract, by the UTF-8 check", least["extract"] / least["UTF-8 check"], None, "times")
    rows.write()


if __name__ == "__main__":
    main()
