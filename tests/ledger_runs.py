"""A small finished run in which documents leave for every sort of reason, for the tests of the ledger's verbs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crawl import RECIPE, Crawl, article, sentences

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run

_EXACT = '[[stage]]\nkind = "exact"'
LEDGER_RECIPE = RECIPE.replace(_EXACT, f'[[stage]]\nkind = "refinedweb_lines"\n\n{_EXACT}')
LEDGER_RECIPE += '\n[[stage]]\nkind = "url_dedup"\n'
# Every other kind that compares documents with others; SET stands for an evaluation set.
GLOBAL_STAGES = """
[[stage]]
kind = "paragraphs"

[[stage]]
kind = "substring"
action = "cut"

[[stage]]
kind = "ngram_overlap"

[[stage]]
kind = "decontaminate"
sets = { mill = "SET" }
action = "flag"
"""


def make_crawl(folder: Path) -> Path:
    """Two WARC files. `long` pages have about 250 words, `short/<n>` n sentences of about 30 words."""
    first, second = Crawl(), Crawl()
    for i in range(6):
        first.page(f"https://long.example/{i}", article(f"Page {i}", sentences(i)))
    for n in range(1, 8):
        first.page(f"https://short.example/{n}", article(f"Short {n}", sentences(40 + n)[:n]))
    first.page("https://gone.example/", article("Gone", sentences(60)), status="404 Not Found")
    first.page("https://empty.example/", "<p>")
    first.page(
        "https://button.example/",
        article("Button", [*sentences(61)[:7], "</p><p>Subscribe</p><p>", *sentences(62)[:1]]),
    )
    # Near: the longer of each pair is kept. Exact: the same text at two addresses.
    first.page("https://near.example/short", article("Near", sentences(70)))
    second.page("https://near.example/long", article("Near", [*sentences(70), *sentences(71)[:1]]), record_id="<urn:n>")
    first.page("https://exact.example/a", article("Exact", sentences(80)))
    second.page("https://exact.example/b", article("Exact", sentences(80)), record_id="<urn:e>")
    # One address twice: the newer text is the longer one.
    first.page("https://www.url.example/x?utm_source=mail", article("Old", sentences(90)))
    newer = article("New", [*sentences(91), *sentences(92)[:3]])
    second.page("http://url.example/x", newer, date="2025-01-01T00:00:00Z", record_id="<urn:u>")
    # One record twice.
    for _ in range(2):
        second.page("https://twice.example/", article("Twice", sentences(95)), record_id="<urn:t>")
    # A chain: b is like a and c, which are unlike; in keep order a, b, c.
    chain = [*sentences(100), *sentences(101)]
    second.page("https://chain.example/a", article("Chain", [*chain, *sentences(102)[:5]]), record_id="<urn:ca>")
    second.page("https://chain.example/b", article("Chain", [*chain, *sentences(102)[:2]]), record_id="<urn:cb>")
    second.page("https://chain.example/c", article("Chain", chain[:15]), record_id="<urn:cc>")
    first.write(folder / "a.warc.gz")
    second.write(folder / "b.warc.gz")
    return folder


def make_run(out: Path, crawl: Path, settings: Sequence[str] = (), recipe: str = LEDGER_RECIPE) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.with_name(out.name + ".toml")
    path.write_text(recipe)
    execute(
        open_run(load_recipe(str(path), [f'source.web.paths="{crawl}"', *settings]), out), InProcess(), lambda _: None
    )
    return out


def report_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "report.json").read_bytes())
    return found
