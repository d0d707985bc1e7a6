"""The commands of an index, and the removal of documents, as a script uses them."""

import json
from pathlib import Path

import pytest
from command import gristmill
from crawl import RECIPE, Crawl, article, sentences
from ledger_runs import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four pages, and an index of them."""
    folder = tmp_path_factory.mktemp("index")
    crawl = Crawl()
    for i in range(4):
        crawl.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    crawl.write(folder / "crawl" / "a.warc.gz")
    make_run(folder / "run", folder / "crawl", recipe=RECIPE)
    done = gristmill("index", "add", "index", "run", "--executor", "in-process", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "4 documents" in done.stdout
    return folder


def test_an_index_finds_a_document_by_its_address_and_says_so_in_json(folder: Path) -> None:
    asked = ("--url", "https://a.example/1", "--url", "https://nobody.example/")
    done = gristmill("index", "query", "index", *asked, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first != second
    assert gristmill("index", "query", "index", *asked, cwd=folder).stdout.count("\n") == 2


def test_a_query_without_a_question_is_a_line(folder: Path) -> None:
    done = gristmill("index", "query", "index", cwd=folder)
    assert (done.returncode, done.stderr) == (2, "gristmill: index query: give files or --url\n")


@pytest.mark.parametrize("words", [("index", "query", "none", "--url", "x"), ("index", "add", "none", "missing")])
def test_what_is_no_index_and_no_run_is_one_line(folder: Path, words: tuple[str, ...]) -> None:
    done = gristmill(*words, cwd=folder)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "none").exists()


def test_a_document_is_removed_from_an_index_and_from_the_runs_named(folder: Path) -> None:
    done = gristmill("index", "remove", "index", "--url", "https://a.example/3", "--run", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["index: 1 document removed", "run: 1 document removed, 1 of them from its shards"]
    assert gristmill("verify", "run", cwd=folder).returncode == 0
    again = gristmill("remove", "run", "--url", "https://a.example/3", cwd=folder)
    assert again.stdout == "run: 0 documents removed, 0 of them from its shards\n"
