"""A small run of the recipe `refinedweb` with texts that a page must escape, for the tests of the report."""

import random
from pathlib import Path

from crawl import Crawl

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.build import write_report
from pipelines.run.opening import open_run

RECIPE = """
name = "refinedweb"
about = "A small one."
[source.web]
kind = "warc"
paths = ["{warc}"]
[[stage]]
kind = "url"
[[stage]]
kind = "page"
[[stage]]
kind = "extract"
engine = "resiliparse"
[[stage]]
kind = "gopher_repetition"
[[stage]]
kind = "gopher_quality"
[[stage]]
kind = "exact"
[[stage]]
kind = "minhash"
name = "near"
bands = 20
rows = 5
[[stage]]
kind = "url_dedup"
"""
WORDS = (
    "the river mill bridge people used years spring meadow green children play kites colour baker opens shop at six "
    "bread to be eaten warm nobody remembers who built tower every village tells a story of it when snow melts path "
    "and pass walkers have with good map find shepherds meet noon that boat lantern market garden winter song window"
).split()
NASTY = '<script>alert("x")</script> & "quotes" \x01\x02 \u202eevil\u202c'


def prose(number: int) -> str:
    """Ten lines of words in random order: no two documents are alike."""
    order = random.Random(number)
    lines = (" ".join(order.choices(WORDS, k=14)) for _ in range(10))
    return "".join(f"<p>{line} {n}.</p>" for n, line in enumerate(lines))


def page(text: str) -> bytes:
    return f"<html><head><title>t</title></head><body><main>{text}</main></body></html>".encode()


def pages() -> list[tuple[str, bytes, str]]:
    """(URL, body, media type)."""
    made = [(f"https://site{n % 5}.example/page/{n}?a=1&b=2", page(prose(n)), "text/html") for n in range(24)]
    made += [(f"https://copy.example/{n}", page(prose(3)), "text/html") for n in range(3)]
    made += [
        (f"https://www.short.example/{n}", page(f"<p>Too short {n}. {escaped(NASTY)}</p>"), "text/html")
        for n in range(12)
    ]
    made += [("https://rtl.example/", page("<p>" + "مرحبا بالعالم " * 4 + "</p>"), "text/html")]
    made += [("https://data.example/a.pdf", b"%PDF-1.4", "application/pdf")]
    made += [("javascript:alert(1)", b"%PDF-1.5", "application/pdf")]
    return made


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def write_warc(path: Path) -> None:
    crawl = Crawl().other("warcinfo")
    for url, body, kind in pages():
        crawl.page(url, body, content_type=f"{kind}; charset=utf-8")
    crawl.write(path)


def make_report_run(folder: Path) -> Path:
    """The folder of the finished run, with its page."""
    write_warc(folder / "small.warc.gz")
    (folder / "small.toml").write_text(RECIPE.format(warc=folder / "small.warc.gz"))
    execute(open_run(load_recipe(str(folder / "small.toml")), folder / "run"), InProcess(), lambda _: None)
    write_report(folder / "run")
    return folder / "run"
