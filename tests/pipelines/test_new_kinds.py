"""A new kind is one class and one line: every verb works with kinds that nothing in the pipeline knows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from crawl import Crawl, article, sentences

SCRIPT = Path(__file__).with_name("toy_kinds.py")
RECIPE = """
[source.web]
kind = "warc"

[[stage]]
kind = "page"
[[stage]]
kind = "extract"
engine = "gristmill"
[[stage]]
kind = "vowels"
max_fraction = 0.4
[[stage]]
kind = "same_start"
[[stage]]
kind = "url_dedup"
"""


def toy(*words: object, code: int = 0) -> str:
    """What `gristmill` prints with the toy kinds."""
    done = subprocess.run([sys.executable, str(SCRIPT), *map(str, words)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def beginning(number: int) -> str:
    return f"Number {number} of the pages begins like no other of them, and it goes on for a while."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    crawl = Crawl()
    for number in range(6):
        crawl.page(f"https://a.example/{number}", article(f"Page {number}", [beginning(number), *sentences(number)]))
    crawl.page("https://a.example/again", article("Page 2", [beginning(2), *sentences(2), *sentences(9)]))
    crawl.page("https://a.example/vowels", article("Aeiou", ["aeiou aeiou aeiou aeiou " * 40]))
    crawl.write(folder / "crawl" / "a.warc.gz")
    (folder / "toys.toml").write_text(RECIPE)
    toy("run", folder / "toys.toml", "--set", f"source.paths={folder}/crawl", "--out", folder / "run", "--workers", 2)
    return folder


@pytest.mark.slow
def test_every_verb_works_with_a_local_and_a_global_kind_that_it_does_not_know(folder: Path) -> None:
    run = folder / "run"
    report = json.loads((run / "report.json").read_bytes())
    assert report["dropped"] == {"vowels.too_many_vowels": 1, "dedup.same_start": 1}
    assert "1 unit whole" in toy("verify", run)
    assert "done" in toy("status", run)
    toy("report", run)
    page = (run / "report.html").read_text()
    assert "vowels.too_many_vowels" in page
    assert "dedup.same_start" in page
    explained = toy("explain", run, "https://a.example/vowels")
    assert "too_many_vowels" in explained
    assert "fails" in explained
    assert "https://a.example/2" in toy("explain", run, "https://a.example/again")
    assert "dedup.same_start" in toy("pairs", run)


@pytest.mark.slow
def test_a_local_kind_is_replayed_and_a_global_kind_says_what_knows_more(folder: Path) -> None:
    run = folder / "run"
    assert "kept documents: 6 -> 6 (0)" in toy("whatif", run, "--set", "vowels.max_fraction=0.39")
    refused = toy("whatif", run, "--set", "vowels.max_fraction=0.9", code=2)
    assert "same_start: other documents reach it; only a run with these settings decides them" in refused
    refused = toy("whatif", run, "--set", "same_start.chars=10", code=2)
    assert "same_start.chars: is no threshold" in refused
    toy("apply", run, "--set", "vowels.max_fraction=0.9", "--out", folder / "applied")
    toy("run", run / "recipe.toml", "--set", "vowels.max_fraction=0.9", "--out", folder / "again")
    names = [str(path.relative_to(folder / "again")) for path in (folder / "again").glob("*/**/*.arrow")]
    assert len(names) >= 4
    assert all((folder / "applied" / n).read_bytes() == (folder / "again" / n).read_bytes() for n in names)
    assert "vowels.too_many_vowels -> kept" in toy("diff", run, folder / "applied")


@pytest.mark.slow
def test_a_new_kind_is_planned_and_sampled_before_a_run(folder: Path) -> None:
    planned = toy("plan", folder / "toys.toml", "--set", f"source.paths={folder}/crawl", "--workers", 1)
    assert "same_start" in planned
    assert "vowels.too_many_vowels" in toy("sample", folder / "toys.toml", folder / "crawl", "-n", 8)
