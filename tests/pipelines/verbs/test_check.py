"""check: what a recipe reads, a line each, and the mistakes that its run would refuse."""

from pathlib import Path

import pytest
from command import gristmill
from crawl import RECIPE, Crawl


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Crawl().page("https://a.example/", "<p>A page.").write(tmp_path / "crawl" / "a.warc.gz")
    (tmp_path / "block.txt").write_text("# licence: CC0-1.0\nbad.example\nworse.example\n")
    url = '[[stage]]\nkind = "url"\nblocked_domains = "block.txt"\n'
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("[[stage]]", url + "\n[[stage]]", 1))
    return tmp_path


def test_sources_files_and_lists_are_named_and_nothing_is_written(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = gristmill("check", "recipe.toml", "crawl", cwd=folder, columns=200)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    size = (folder / "crawl" / "a.warc.gz").stat().st_size
    assert f"source.web: warc, 1 file, {size} bytes" in told
    assert "url.blocked_domains: 2 entries, licence CC0-1.0" in told
    assert told[-1] == "recipe is ready to run"
    assert sorted(folder.rglob("*")) == before


def test_without_inputs_it_says_so(folder: Path) -> None:
    told = gristmill("check", "recipe.toml", cwd=folder).stdout.splitlines()
    assert "source.web: warc, no path is given yet" in told
    assert told[-1] == "recipe is ready for inputs"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["missing"], "source.web.paths: missing: no such file or folder"),
        (["--set", "url.blocked_domains=gone.txt"], "gone.txt"),
        (["--set", "gopher_quality.min_wrods=3"], "gopher_quality.min_wrods: unknown key"),
    ],
)
def test_what_the_run_would_refuse_is_one_line_and_exit_code_2(folder: Path, words: list[str], says: str) -> None:
    done = gristmill("check", "recipe.toml", *words, cwd=folder, columns=200)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert says in done.stderr
