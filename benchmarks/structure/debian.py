"""Pages of Debian's documentation packages beside the sources that they were made from.

`debian.jsonl` names archives in Debian's pool, with their SHA-256, and pages in them: a page, its source, and the
selector of the element that the theme puts the text in. Pages and sources are unpacked into a cache outside of the
project; nothing of them is part of it.
"""

import hashlib
import io
import json
import re
import tarfile
import urllib.request
from collections.abc import Iterator
from html.entities import html5
from pathlib import Path
from typing import Any

from lxml import etree

from benchmarks.structure.pages import LabelledPage, half_of
from benchmarks.structure.pandoc import markdown_of

MANIFEST = Path(__file__).with_suffix(".jsonl")
_POOL = "http://deb.debian.org/debian/"
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60  # bytes of the header before each member
_XML_ENTITIES = {"amp", "lt", "gt", "quot", "apos"}
_CHUNK = re.compile(r"^(`{3,})\s*\{(\w+)(.*)\}\s*$")


def debian_pages(cache: Path) -> Iterator[LabelledPage]:
    """The pages of the manifest with their truth. Archives that `cache` does not have are fetched."""
    lines = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    archives = {line["archive"]: line for line in lines if "archive" in line}
    for line in lines:
        if "page" not in line:
            continue
        html = _member(cache, archives[line["package"]], line["page"])
        if hashlib.sha256(html).hexdigest() != line["sha256"]:
            raise SystemExit(f"{line['page']}: not the page of the manifest")
        source = _member(cache, archives[line.get("source_package", line["package"])], line["source"]).decode()
        truth = cache / "truth" / f"{line['sha256']}.md"
        if not truth.exists():
            truth.parent.mkdir(exist_ok=True)
            truth.write_text(markdown_of(_prepared(source, line), line["kind"]))
        shift = line.get("shift", 0)
        markdown = re.sub(r"^(?=#+ )", "#" * shift, truth.read_text(), flags=re.M)
        name = f"{line['package']}:{line['page']}"
        yield LabelledPage(name, "debian", half_of(line["project"]), html, line["main"], markdown)


def _prepared(source: str, line: dict[str, Any]) -> str:
    if line["kind"] == "docbook":
        return docbook_part(source, line["part"])
    return plain_chunks(source) if line["kind"] == "markdown" else source


def docbook_part(source: str, part: str) -> str:
    """The element of a DocBook file whose id is `part`, without entities of its own."""
    source = re.sub(r"<!DOCTYPE[^\[>]*(\[.*?\])?\s*>", "", source, count=1, flags=re.S)
    source = re.sub(r"<\?xml[^>]*\?>", "", source)
    source = re.sub(
        r"&([A-Za-z][\w.-]*);", lambda m: m[0] if m[1] in _XML_ENTITIES else html5.get(m[1] + ";", ""), source
    )
    root = etree.fromstring(f"<root>{source}</root>".encode(), etree.XMLParser(recover=True, huge_tree=True))
    for element in root.iter(etree.Element):
        if part in (element.get("id"), element.get("{http://www.w3.org/XML/1998/namespace}id")):
            etree.strip_elements(element, "{*}indexterm", with_tail=False)
            return etree.tostring(element, encoding="unicode", with_tail=False)
    raise SystemExit(f"DocBook without an element {part}")


def plain_chunks(source: str) -> str:
    """R Markdown whose chunks are not run as plain Markdown: those that are shown become listings in their language."""
    out: list[str] = []
    fence = ""
    is_shown = True
    for line in source.split("\n"):
        chunk = None if fence else _CHUNK.match(line)
        if chunk:
            fence = chunk[1]
            is_shown = not re.search(r"include=F|echo=F", chunk[3].replace(" ", ""))
            line = fence + chunk[2]
        ends = not chunk and fence != "" and line.strip() == fence
        if is_shown:
            out.append(line)
        if ends:
            fence, is_shown = "", True
    return "\n".join(out)


def _member(cache: Path, archive: dict[str, str], path: str) -> bytes:
    """A file of an archive, unpacked into the cache at the first call."""
    folder = cache / archive["sha256"][:16]
    file = folder / path
    if not file.exists():
        names = {
            line[key]
            for line in map(json.loads, MANIFEST.read_text().splitlines())
            for key, package in (("page", "package"), ("source", "source_package"))
            if "page" in line and line.get(package, line["package"]) == archive["archive"]
        }
        data = _fetched(cache, archive)
        with tarfile.open(
            fileobj=io.BytesIO(_data_of_deb(data) if archive["archive"].endswith(".deb") else data)
        ) as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in names or name.removesuffix(".gz") in names:
                    target = folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    stream = tar.extractfile(member)
                    if stream is not None:
                        target.write_bytes(stream.read())
    return file.read_bytes()


def _fetched(cache: Path, archive: dict[str, str]) -> bytes:
    url = _POOL + archive["archive"]
    try:
        with urllib.request.urlopen(url, timeout=120) as response:
            data: bytes = response.read()
    except OSError as error:
        raise SystemExit(f"{url}: {error}; a point release may have replaced it: see snapshot.debian.org") from error
    if hashlib.sha256(data).hexdigest() != archive["sha256"]:
        raise SystemExit(f"{url}: its SHA-256 is not that of {MANIFEST.name}")
    return data


def _data_of_deb(deb: bytes) -> bytes:
    """The member data.tar.* of a package (deb(5)), an ar archive."""
    assert deb.startswith(_AR_MAGIC)
    at = len(_AR_MAGIC)
    while at < len(deb):
        name, size = deb[at : at + 16].decode().strip(" /"), int(deb[at + 48 : at + 58])
        at += _AR_HEADER
        if name.startswith("data.tar"):
            return deb[at : at + size]
        at += size + size % 2
    raise SystemExit("a package without data")
