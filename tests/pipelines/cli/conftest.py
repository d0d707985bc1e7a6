"""A small crawl and its recipe, for commands."""

from pathlib import Path

import pytest
from crawl import RECIPE, Crawl, article, sentences


@pytest.fixture
def crawl_file(tmp_path: Path) -> Path:
    made = Crawl()
    for i in range(5):
        made.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    return made.write(tmp_path / "crawl" / "a.warc.gz")


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = Crawl()
    for i in range(5):
        made.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    made.page("https://short.example/\x9b31m", article("Short", ["Too \x9b2J [bold]short[/x] :smile: \u202e."]))
    made.write(tmp_path / "crawl" / "a.warc.gz")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path
