"""The demo's crawl is always the same, and each planted page ends where its kind belongs."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from cleaners.crawl.warc import WarcReader
from pipelines import demo as demo_module
from pipelines.demo import demo, fates, holds, kept_texts
from pipelines.demo.crawl import KEPT, Page, article, planted, warc
from pipelines.demo.docs import blocks_of, language_pages, library_pages
from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.storage import find_inputs

_DIGEST = """
import hashlib
from pipelines.demo.crawl import manual_pages, planted, warc
from pipelines.demo.docs import language_pages, library_pages
manuals = [*language_pages(), *library_pages("rich")]
pages = [*(p.page for p in planted()), *manual_pages("manual.example", manuals)]
print(hashlib.sha256(warc("all", pages)).hexdigest(), len(pages))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted pages through the real recipe."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "planted.warc.gz").write_bytes(warc("planted", [p.page for p in planted()]))
    recipe = load_recipe("gristmill", [f"source.web.paths={folder / 'planted.warc.gz'}"])
    execute(open_run(recipe, folder / "run"), InProcess(), lambda progress: None)
    return folder / "run"


def test_the_crawl_has_the_same_bytes_in_every_process() -> None:
    def digest(seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", _DIGEST], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert digest("1") == digest("2")


def test_every_planted_page_ends_where_its_kind_belongs(run: Path) -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for url, date, ends in fates(run):
        found.setdefault((url, date), []).append(ends)
    expected: dict[tuple[str, str], list[str]] = {}
    for p in planted():
        expected.setdefault((p.page.url, p.page.date), []).append(p.ends)
    assert {k: sorted(v) for k, v in found.items()} == {k: sorted(v) for k, v in expected.items()}


def test_planted_pages_show_every_kind_of_stage() -> None:
    stages = {p.ends.partition(".")[0] for p in planted()}
    assert stages == {KEPT, "url", "page", "extract", "language", "gopher_repetition", "gopher_quality", "dedup"}
    assert {"dedup.url", "dedup.near", "dedup.same_record"} <= {p.ends for p in planted()}


@pytest.mark.parametrize("name", ["mill.en", "bees.en", "tides.en", "column-november.en"])
def test_our_articles_are_kept_whole(run: Path, name: str) -> None:
    assert any(holds(text, article(name)) for text in kept_texts(run))


def test_every_record_of_the_crawl_is_read_or_counted(tmp_path: Path) -> None:
    pages = [Page("https://a.example/", b"<html>one</html>"), Page("https://b.example/", b"", kind="revisit")]
    (tmp_path / "a.warc.gz").write_bytes(warc("a", pages))
    ((file,),) = [find_inputs((str(tmp_path / "a.warc.gz"),), (".warc.gz",), "source.web.paths")]
    reader = WarcReader("web", file, 0)
    rows = [row for batch in reader for row in batch.to_pylist()]
    assert [(row["url"], row["record_type"], row["http_status"]) for row in rows] == [
        ("https://a.example/", "response", 200),
        ("https://b.example/", "revisit", 200),
    ]
    assert reader.stats.below("records") == {"metadata": 2, "request": 2, "warcinfo": 1}
    assert not reader.damage


def test_no_chapter_of_the_manual_stands_in_another() -> None:
    paragraphs = Counter(
        block.text
        for page in language_pages()
        for block in page.blocks
        if block.kind == "paragraph" and len(block.text) > 400
    )
    assert len(paragraphs) > 50
    assert paragraphs.most_common(1)[0][1] == 1


def test_a_library_that_is_not_installed_has_no_pages() -> None:
    assert list(library_pages("no_such_library_is_installed")) == []


def test_blocks_tell_prose_from_code_and_definitions() -> None:
    text = """
Title
=====

Some prose with :class:`~a.B` and ``code``.

Parameters
----------
x : int
    How many.

>>> f(1)
2
"""
    assert [(block.kind, block.text) for block in blocks_of(text)] == [
        ("heading", "Title"),
        ("paragraph", "Some prose with a.B and code."),
        ("heading", "Parameters"),
        ("term", "x : int"),
        ("definition", "How many."),
        ("code", ">>> f(1)\n2"),
    ]


@pytest.mark.slow
def test_the_demo_runs_to_its_end_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo_module.TRAINING, "steps", 20)
    lines: list[str] = []
    demo(tmp_path / "demo", lines.append)
    text = "\n".join(lines)
    assert "Bits per byte" in text
    assert text.count("whole,") == 6
    for place in ("report.html", "training/tokenizer.json", "training/model/metrics.jsonl"):
        assert next((tmp_path / "demo").rglob(place)).stat().st_size > 0

    again: list[str] = []
    demo(tmp_path / "demo", again.append)
    assert [line for line in again if "article" in line] == [line for line in lines if "article" in line]
    assert not any(line.lstrip().startswith("step ") for line in again)
