"""What is printed is what is meant: no markup in paths, no control characters of pages, a line at every end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from crawl import RECIPE, Crawl, article, sentences

from pipelines import cli
from pipelines.report.aggregate import Sample
from pipelines.report.samples import sample_texts
from pipelines.run.folder import RunFolder
from shards.sink import ArrowSink
from shards.unit_key import UnitKey


def gristmill(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env={**os.environ, "COLUMNS": "80"}
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = Crawl()
    for i in range(5):
        made.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    made.page("https://short.example/\x9b31m", article("Short", ["Too \x9b2J [bold]short[/x] :smile: \u202e."]))
    made.write(tmp_path / "crawl" / "a.warc.gz")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


@pytest.mark.parametrize("out", ["o/[/x]", "o/[red]a :smile: ü [b]"])
def test_a_path_is_printed_as_it_is(place: Path, out: str) -> None:
    words = ("run", "recipe.toml", "--set", "source.paths=crawl", "--executor", "in-process", "--out", out)
    for command, says in (
        (words, f"kept (83.3%), in {out}/shards"),
        (words, f"{out} is done already"),
        (("status", out), f"{out}: done"),
        (("verify", out), f"{out}: 1 units whole"),
        (("report", out), f"wrote {out}/report.html"),
    ):
        done = gristmill(*command, cwd=place)
        assert done.returncode == 0, done.stderr
        assert says in done.stdout
    (place / out / "run.json").write_text("{}")
    assert gristmill("verify", out, cwd=place).stderr.startswith(f"gristmill: {out}/run.json: digest: missing")


def test_pages_do_not_steer_the_terminal(place: Path) -> None:
    done = gristmill("sample", "crawl", "recipe.toml", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "[bold]short[/x] :smile: \\u202e." in done.stdout
    assert "\x9b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_control_characters_become_visible(capsys: pytest.CaptureFixture[str]) -> None:
    cli._tell("a\x1b[31m\udcff [b] :smile: ü")
    assert capsys.readouterr().out == "a\\x1b[31m\\udcff [b] :smile: ü\n"


def test_shares_of_nothing_are_a_dash() -> None:
    assert cli._share(0, 0) == "–"
    assert cli._share(1, 3) == "33.3%"


def test_inputs_without_documents_end_with_a_line(place: Path) -> None:
    for name in ("x", "y"):
        Crawl().other("request").write(place / "none" / f"{name}.warc.gz")
    words = ("recipe.toml", "--set", "source.paths=none", "--executor", "in-process", "--out", "run")
    for command, says in (
        (("run", *words), "hold no record that could become a document"),
        (("sample", "none", "recipe.toml"), "no document could be read"),
    ):
        done = gristmill(*command, cwd=place)
        assert done.returncode == 1
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    assert gristmill("status", "run", cwd=place).returncode == 0
    assert "the run is not finished" in gristmill("verify", "run", cwd=place).stdout


def test_samples_of_kept_rows_without_text_are_left_out(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.large_string())])
    with ArrowSink(tmp_path / "shards/web/web-00000-000.arrow", schema) as sink:
        sink.write(pa.RecordBatch.from_pydict({"id": ["1", "2"], "text": [None, "A text."]}, schema=schema))
    nothing = {"language": None, "language_score": None, "chars": None, "twin": None, "similarity": None}
    samples = [
        Sample(UnitKey("web", 0, 0), id, "", "web", drop_reasons=(), also_fails=(), failures=(), **nothing)
        for id in "12"
    ]
    assert sample_texts(RunFolder(tmp_path), samples) == {("2", ""): "A text."}


@pytest.mark.parametrize("executor", ["pool", "in-process"])
def test_sigterm_ends_a_run_like_ctrl_c(place: Path, executor: str) -> None:
    made = Crawl()
    for i in range(600):
        made.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i) * 20))
    made.write(place / "crawl" / "long.warc.gz")
    (place / "recipe.toml").write_text(RECIPE.replace('engine = "resiliparse"', 'engine = "trafilatura"'))
    words = ("run", "recipe.toml", "--set", "source.paths=crawl", "--executor", executor, "--workers", "1")
    command = [sys.executable, "-m", "pipelines", *words, "--out", "run"]
    process = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while not list(place.glob("run/work/0/*.part")) and process.poll() is None:
        time.sleep(0.02)
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "To resume: gristmill run" in told
    assert "Traceback" not in told


def test_sigterm_before_the_first_unit_is_a_line_too(place: Path) -> None:
    code = (
        "import os, signal, sys, pipelines.cli as c, pipelines.recipe as r\n"
        "r.load_recipe = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.argv = ['gristmill', 'run', 'recipe.toml']\n"
        "c.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "interrupted; to resume: gristmill run recipe.toml" in done.stderr
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
