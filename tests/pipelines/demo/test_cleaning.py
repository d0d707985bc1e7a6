"""Each planted page ends where its kind belongs, and our articles are kept whole."""

from pathlib import Path

import pytest

from pipelines.demo.cleaning import check_planted, check_whole, fates, holds, kept_texts
from pipelines.demo.crawl import article, planted, warc
from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.errors import RunError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted pages through the real recipe."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "planted.warc.gz").write_bytes(warc("planted", [p.page for p in planted()]))
    recipe = load_recipe("gristmill", [f"source.web.paths={folder / 'planted.warc.gz'}"])
    execute(open_run(recipe, folder / "run"), InProcess(), lambda progress: None)
    return folder / "run"


def test_every_planted_page_ends_where_its_kind_belongs(run: Path) -> None:
    actual: dict[tuple[str, str], list[str]] = {}
    for url, date, ends in fates(run):
        actual.setdefault((url, date), []).append(ends)
    expected: dict[tuple[str, str], list[str]] = {}
    for p in planted():
        expected.setdefault((p.page.url, p.page.date), []).append(p.ends)
    assert {k: sorted(v) for k, v in actual.items()} == {k: sorted(v) for k, v in expected.items()}


@pytest.mark.parametrize("name", ["mill.en", "bees.en", "tides.en", "column-november.en"])
def test_our_articles_are_kept_whole(run: Path, name: str) -> None:
    assert any(holds(text, article(name)) for text in kept_texts(run))


def test_the_checks_of_the_demo_pass(run: Path) -> None:
    lines: list[str] = []
    check_planted(run, lines.append)
    check_whole(run, lines.append)
    assert sum("whole," in line for line in lines) == 6


def test_a_planted_page_that_ends_elsewhere_is_an_error(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = [(url, date, "url.soft_words") for url, date, _ in fates(run)]
    monkeypatch.setattr("pipelines.demo.cleaning.fates", lambda run: iter(strange))
    with pytest.raises(RunError, match=r"expected to end as .*, found url\.soft_words"):
        check_planted(run, lambda line: None)
