"""The module `gristmill`: the code of docs/python.md as a script without a main guard, and its mistakes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from crawl import RECIPE, Crawl, article, sentences

import gristmill
from shards.errors import UserError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    crawl = Crawl()
    for i in range(3):
        crawl.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i) * 5))
    crawl.page("https://a.example/short", article("Short", ["Too short to be kept."]))
    crawl.write(tmp_path / "crawl" / "a.warc.gz")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def test_the_page_of_python_runs_as_a_script_without_a_main_guard(folder: Path) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    (folder / "script.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "# The mill",
        "",
        "It stands by the river, and has ground grain since 1848.",
        "4 3",
        "3",
        "https://a.example/short gopher_quality.too_few_words",
    ]


def test_bytes_are_read_in_the_charset_that_they_name() -> None:
    html = '<meta charset="windows-1251"><article><p>Мельница стоит у реки и мелет зерно с 1848 года.</p></article>'
    assert gristmill.extract(html.encode("windows-1251")) == "Мельница стоит у реки и мелет зерно с 1848 года."


def test_a_mistake_raises_and_leaves_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match="min_wrods: unknown key"):
        gristmill.run("recipe.toml", ["crawl"], out="run", settings={"gopher_quality.min_wrods": 3})
    with pytest.raises(UserError, match="missing: no run of gristmill"):
        gristmill.Run("missing")
    assert not (folder / "run").exists()


def test_importing_it_loads_no_heavy_library() -> None:
    code = "import sys, gristmill; print([name for name in ('pyarrow', 'numba', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
