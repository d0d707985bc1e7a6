"""The demo's crawl: some hundred pages as WARC, made on this machine without a network, always the same bytes.

    crawl/web/        the manual of Python, articles, and traps: pages that a crawl has and a corpus must not have
    crawl/libraries/  reference pages of installed libraries
    crawl/crawl.json  what the crawl was made of; written last

`planted` lists every record that we made up and the fate that the recipe `gristmill` must give it. The hosts end in
`.example`, which RFC 2606 reserves.
"""

import gzip
import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from platform import python_version
from typing import Any

from jinja2 import Environment, FunctionLoader, Template

from pipelines.demo.docs import Manual, language_pages, library_pages, standard_library_pages
from shards.atomic import write_bytes, write_json
from shards.schema import KEPT

WORLD = "world.warc.gz"  # the file in crawl/web with the Chinese and the Russian pages
_LIBRARIES = (
    "networkx", "numpy", "torch.nn", "torch.distributed", "torch.distributions", "torch.utils", "huggingface_hub",
    "numba", "pydantic", "rich", "pyarrow",
)  # fmt: skip
_HTML = "text/html; charset=utf-8"
_LINKS = {
    "en": ("Home", "News", "Weather", "Letters", "Archive", "Contact", "Imprint"),
    "zh": ("首页", "新闻", "天气", "来信", "往期", "联系我们"),
    "ru": ("Главная", "Новости", "Погода", "Письма", "Архив", "Контакты"),
    "de": ("Start", "Nachrichten", "Wetter", "Leserbriefe", "Archiv", "Impressum"),
}
_WARES = (
    "Kettles", "Teapots", "Toasters", "Lamps", "Blankets", "Ladders", "Buckets", "Curtains", "Carpets", "Mirrors",
    "Candles", "Baskets", "Hammers", "Paints", "Brushes", "Hinges", "Ropes", "Tents", "Boots", "Umbrellas",
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """One fetched page, from which its WARC records are made."""

    url: str
    body: bytes
    date: str = "2024-10-07T06:00:00Z"
    content_type: str | None = _HTML
    status: str = "200 OK"
    kind: str = "response"


@dataclass(frozen=True)
class Planted:
    """A page that we made up."""

    page: Page
    what: str
    ends: str  # its first drop reason under `gristmill`, or KEPT


@dataclass(frozen=True)
class Article:
    title: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.paragraphs)


def _read_about(path: Path) -> dict[str, Any]:
    """What the file holds; nothing where it is not what was written, so that the crawl is made anew."""
    try:
        about = json.loads(path.read_bytes())
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def write_crawl(folder: Path) -> dict[str, Any]:
    """Write the crawl into `folder`, unless the same one is there, and return its `crawl.json`."""
    about, wanted = folder / "crawl.json", made_of()
    if about.exists():
        if (earlier := _read_about(about)).get("made_of") == wanted:
            return earlier
        about.unlink()
    sizes = {}
    for name, pages in _files():
        pages = list(pages)
        data = warc(name, pages)
        write_bytes(folder / name, data)
        sizes[name] = {"pages": len(pages), "bytes": len(data)}
    crawl = {"made_of": wanted, "files": sizes}
    write_json(about, crawl)
    return crawl


def made_of() -> dict[str, str]:
    """Everything that the crawl's bytes depend on: versions of Python and the libraries, a digest of our pages and
    code."""
    ours = files("pipelines.demo")
    digest = hashlib.sha256()
    for name in (
        "crawl.py",
        "docs.py",
        *sorted(f"pages/{f.name}" for f in (ours / "pages").iterdir()),
    ):
        digest.update(ours.joinpath(*name.split("/")).read_bytes())
    packages = {name.partition(".")[0] for name in _LIBRARIES} | {"gristmill"}
    return {"python": python_version(), "pages": digest.hexdigest()} | {p: _version(p) for p in sorted(packages)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _files() -> Iterator[tuple[str, Iterable[Page]]]:
    """(path in the crawl, its pages) of each WARC file."""
    yield "web/language.warc.gz", manual_pages("python-manual.example", language_pages())
    yield "web/library.warc.gz", manual_pages("python-library.example", standard_library_pages())
    yield "web/articles.warc.gz", (planted.page for planted in english())
    yield f"web/{WORLD}", (planted.page for planted in (*chinese(), *russian()))
    for name in _LIBRARIES:
        host = f"{name.replace('.', '-').replace('_', '-')}.example"
        yield f"libraries/{name}.warc.gz", manual_pages(host, library_pages(name))


def manual_pages(host: str, manual: Iterable[Manual]) -> Iterator[Page]:
    pages = list(manual)
    for number, page in enumerate(pages):
        siblings = [other.name for other in pages[max(0, number - 8) : number + 8]]
        html = _template("manual").render(
            title=page.title, site=host, name=page.name, blocks=page.blocks, siblings=siblings
        )
        yield Page(f"https://{host}/{page.name}.html", html.encode())


def planted() -> tuple[Planted, ...]:
    return (*english(), *chinese(), *russian())


def english() -> tuple[Planted, ...]:
    mill, bees, tides = article("mill.en"), article("bees.en"), article("tides.en")
    the_mill = Planted(_magazine("millers-almanac.example", "/stones", mill), "an article", KEPT)
    the_tides = _magazine("harbour-gazette.example", "/tides", tides)
    correction = "Correction: the old harbour master kept two notebooks, and the second one is in our museum."
    corrected = _magazine(
        "harbour-gazette.example", "/tides", replace(tides, paragraphs=(*tides.paragraphs, correction))
    )
    return (
        the_mill,
        Planted(_magazine("roof-and-garden.example", "/bees", bees), "an article", KEPT),
        Planted(the_tides, "an article that gets a correction", "dedup.near"),
        replace(the_mill, what="the same record once more", ends="dedup.same_record"),
        Planted(_old("mirror.example", "/bees.htm", bees), "a mirror on another host", "dedup.near"),
        Planted(_magazine("flour-blog.example", "/post/17", _reworded(mill)), "reworded here and there", "dedup.near"),
        Planted(replace(corrected, date="2024-11-18T06:00:00Z"), "the page with a correction, fetched later", KEPT),
        Planted(
            _magazine("harbour-gazette.example", "/column", article("column-october.en")),
            "an address whose page was replaced later",
            "dedup.url",
        ),
        Planted(
            replace(
                _magazine("harbour-gazette.example", "/column", article("column-november.en")),
                date="2024-11-11T06:00:00Z",
            ),
            "what stands there now",
            KEPT,
        ),
        *_traps(),
    )


def _traps() -> Iterator[Planted]:
    shop = "bargain-bin.example"
    links = Article("Our departments", _WARES)
    yield Planted(_page(f"https://{shop}/departments", "links", links), "navigation only", "language.low_score")
    praise = Article(
        "What our customers say", ("We are very happy with the kettle and would buy it again.", "Thank you!") * 12
    )
    yield Planted(_magazine(shop, "/praise", praise), "repeats", "gopher_repetition.too_many_duplicate_lines")
    stuffed = " ".join(f"A cheap kettle goes well with our {ware.lower()}, so buy a cheap kettle." for ware in _WARES)
    spam = Article(
        "Cheap kettle", (stuffed, "The cheap kettle that you have been looking for is the cheap kettle here.")
    )
    yield Planted(
        _magazine(shop, "/cheap-kettle", spam), "keyword stuffing", "gopher_repetition.top_2gram_too_frequent"
    )
    notice = Article("Our new home", ("The shop is closed on Monday because of the move to the new building.",))
    yield Planted(_magazine(shop, "/closed", notice), "a short notice", "gopher_quality.too_few_words")
    yield Planted(
        _magazine("lucky-seven.example", "/casino/bonus/", article("bees.en")),
        "words in the address that spam has",
        "url.soft_words",
    )
    german = Article(
        "Die Mühle am Bach",
        (
            "Seit dreihundert Jahren steht die Mühle am Bach, und noch immer mahlt sie das Korn der Bauern im Tal.",
            "Im Herbst bringen sie ihren Weizen, und der Müller wiegt ihn auf einer alten Waage aus Eisen.",
        ),
    )
    yield Planted(_magazine("bachmuehle.example", "/korn", german, "de"), "German", "language.unwanted")
    lost = _magazine("harbour-gazette.example", "/lost", Article("Not found", ("There is no such page here.",)))
    yield Planted(replace(lost, status="404 Not Found"), "an error page", "page.bad_status")
    yield Planted(replace(lost, status="301 Moved Permanently", body=b""), "a redirect", "page.bad_status")
    yield Planted(
        Page(
            "https://harbour-gazette.example/map.pdf", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", content_type="application/pdf"
        ),
        "a PDF file",
        "page.not_html",
    )
    yield Planted(Page("https://harbour-gazette.example/empty", b""), "a page without a single byte", "page.empty_body")
    yield Planted(
        Page("https://millers-almanac.example/stones", b"", "2024-12-02T06:00:00Z", kind="revisit"),
        "a record that says: nothing new",
        "page.revisit",
    )
    yield Planted(
        Page("https://bomb.example/", b"<html><body>" + b"<b>x</b>" * 250_000),
        "250,000 elements",
        "extract.too_many_elements",
    )
    yield Planted(
        Page("https://bomb.example/deep", b"<html><body>" + b"<div>" * 20_000 + b"x"),
        "20,000 levels",
        "extract.too_deep",
    )


def chinese() -> tuple[Planted, ...]:
    clock = _old("laojie.example", "/clock.htm", article("clock.zh"), "zh", "gb18030", declared=False)
    return (
        Planted(_magazine("shuimo.example", "/mill", article("mill.zh"), "zh"), "Chinese", KEPT),
        Planted(_magazine("caiyuan.example", "/roof", article("roof.zh"), "zh"), "Chinese", KEPT),
        Planted(clock, "Chinese in GB18030, and nobody says so", KEPT),
    )


def russian() -> tuple[Planted, ...]:
    station = _old("polyarka.example", "/zima.htm", article("station.ru"), "ru", "windows-1251")
    return (
        Planted(_magazine("melnica.example", "/voda", article("mill.ru"), "ru"), "Russian", KEPT),
        Planted(_magazine("zemlya.example", "/par", article("fallow.ru"), "ru"), "Russian", KEPT),
        Planted(station, "Russian in windows-1251, as the page itself says", KEPT),
    )


def article(name: str) -> Article:
    """One of our articles; its file has the title in the first line, then a paragraph a line."""
    title, *paragraphs = _own(f"{name}.txt").splitlines()
    return Article(title, tuple(paragraphs))


def _reworded(original: Article) -> Article:
    """A copy as scrapers make them: a few words replaced, another title, a sentence less."""
    *first, last = original.paragraphs
    paragraphs = [p.replace("the church", "the chapel").replace("sparks", "fire") for p in first]
    return Article("The secret of good flour", (*paragraphs, last.rsplit(". ", 1)[0] + "."))


def _magazine(host: str, path: str, content: Article, language: str = "en") -> Page:
    return _page(f"https://{host}{path}", "magazine", content, language)


def _old(
    host: str, path: str, content: Article, language: str = "en", charset: str = "utf-8", *, declared: bool = True
) -> Page:
    """A page in the style of 1999: the server names no charset, and the page itself does only if `declared`."""
    page = _page(f"http://www.{host}{path}", "oldsite", content, language, charset, declared=declared)
    return replace(page, content_type="text/html")


def _page(
    url: str, template: str, content: Article, language: str = "en", charset: str = "utf-8", *, declared: bool = True
) -> Page:
    html = _template(template).render(
        title=content.title, paragraphs=content.paragraphs, language=language, links=_LINKS[language],
        site=url.split("/")[2], charset=charset if declared else None,
    )  # fmt: skip
    return Page(url, html.encode(charset))


@cache
def _template(name: str) -> Template:
    return Environment(loader=FunctionLoader(_own), autoescape=True).get_template(f"{name}.html.j2")


def _own(name: str) -> str:
    return files("pipelines.demo").joinpath("pages", name).read_text(encoding="utf-8")


def warc(name: str, pages: Iterable[Page]) -> bytes:
    """A WARC file, each record a gzip member."""
    info = _record("warcinfo", {"WARC-Filename": name}, "2024-10-07T06:00:00Z", b"software: gristmill demo\r\n", name)
    return b"".join([info, *(record for page in pages for record in _records(page))])


def _records(page: Page) -> Iterator[bytes]:
    """The request, the answer and the crawler's remark on it: one gzip member each."""
    target = {"WARC-Target-URI": page.url}
    host, _, path = page.url.split("://")[1].partition("/")
    request = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: gristmill-demo\r\n\r\n".encode()
    head = [f"HTTP/1.1 {page.status}", f"Content-Length: {len(page.body)}"]
    if page.content_type:
        head.append(f"Content-Type: {page.content_type}")
    answer = "\r\n".join([*head, "", ""]).encode() + page.body
    http = "application/http; msgtype="
    yield _record("request", target | {"Content-Type": http + "request"}, page.date, request, page.url)
    yield _record(page.kind, target | {"Content-Type": http + "response"}, page.date, answer, page.url)
    yield _record("metadata", target, page.date, b"fetchTimeMs: 81\r\n", page.url)


def _record(kind: str, headers: dict[str, str], date: str, body: bytes, name: str) -> bytes:
    """One WARC record as a gzip member. Its id follows from its contents, so that the crawl is always the same."""
    record_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {date} {name}")
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{record_id}>",
        "WARC-Date": date,
        "Content-Length": str(len(body)),
    }
    head = "\r\n".join(["WARC/1.0", *(f"{key}: {value}" for key, value in (fields | headers).items()), "", ""])
    return gzip.compress(head.encode() + body + b"\r\n\r\n", 6, mtime=0)
