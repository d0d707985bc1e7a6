"""Exit codes and messages: one line for each mistake, never a traceback, and a traceback for a bug."""

import inspect
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import get_args

import pytest
import typer
from command import gristmill
from crawl import RECIPE, Crawl, article, sentences

from pipelines import cli
from pipelines.cli import main


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('[[stage]]\nkind = "gopher_quality"\nmin_wrods = 3', "gopher_quality.min_wrods: unknown key; known are"),
        (
            '[[stage]]\nkind = "gopher_quality"\nmin_words = "fifty"',
            "gopher_quality.min_words: Input should be a valid integer",
        ),
        ('[[stage]]\nkind = "gopher_qualty"', "no kind 'gopher_qualty'; kinds are url, page"),
        ('[[stage]]\nname = "x"', "stage[0].kind: required"),
        ('[[stage]]\nkind = "page"\n[[stage]]\nkind = "page"', "two stages are named 'page'"),
        ('[[stage]]\nkind = "minhash"\nbands = 20\nrows = 450', "20 bands of 450 rows"),
        (
            '[[stage]]\nkind = "gopher_quality"\nmin_words = 100000000000000000000000',
            "the number 100000000000000000000000 is too",
        ),
        (
            '[[stage]]\nkind = "gopher_quality"\nmin_mean_word_length = nan',
            "min_mean_word_length: Input should be a finite number",
        ),
        ('[[stage]]\nkind = "extract"\nname = "../x"', "stage[0].name: expected a name of letters"),
        ('[[stage]]\nkind = "exact"\nname = "same_record"', "same_record: the name of the stage that every run has"),
        ('[[stage]]\nkind = "url_dedup"\n[[stage]]\nkind = "extract"', "extract: stands after deduplication"),
        (
            '[[stage]]\nkind = "extract"\n[[stage]]\nkind = "language"\n[[stage]]\nkind = "language"\nname = "b"',
            "both give 'language'",
        ),
        ('[[stage]]\nkind = "page"', "no stage of kind `extract` makes text of its pages"),
        ("[output]\ndropped_per_rule = []", "output.dropped_per_rule"),
        ("[stages]\nx = 1", "stages: unknown key; known are"),
        ("[[stage]\n", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line_with_its_key_path(tmp_path: Path, change: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f'[source.web]\nkind = "warc"\n{change}\n')
    done = gristmill("run", path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "nonsense"], "neither a recipe file nor a built-in recipe; built-in are"),
        (["run", "refinedweb"], "source.web.paths: no path is given"),
        (["run", "refinedweb", "--set", "source.paths=missing"], "missing: no such file or folder"),
        (["run", "refinedweb", "--set", "nonsense"], "--set nonsense: expected STAGE.KEY=VALUE"),
        (["run", "refinedweb", "--set", "no_stage.x=1"], "has no 'no_stage'; it has"),
        (["run", "refinedweb", "--set", "gopher_quality.nothing=1"], "gopher_quality.nothing: unknown key"),
        (["run", "refinedweb", "--workers", "many"], "See gristmill --help"),
        (["run"], "See gristmill --help"),
        (["nonsense"], "See gristmill --help"),
        (["verify", "missing"], "missing: no run of gristmill"),
        (["status", "missing"], "missing: no run of gristmill"),
        (["report", "missing"], "missing"),
        (["run", "x" * 300], "x: File name too long; choose a shorter one"),
        (["demo", "--out", "x" * 300], "File name too long; choose a shorter one"),
        (["recipes", "nonsense"], "neither a recipe file nor a built-in recipe"),
        (["sample", "refinedweb"], "source.web.paths: no path is given"),
        (["tokenizer", "train", "missing"], "missing"),
        (["pretrain", "missing.toml"], "missing.toml: no such file"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path: Path, words: list[str], says: str) -> None:
    done = gristmill(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def exit_code_of_main(patch: pytest.MonkeyPatch, *words: str) -> object:
    handler = signal.getsignal(signal.SIGTERM)  # which `main` sets for the process
    patch.setattr(sys, "argv", ["gristmill", *words])
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        signal.signal(signal.SIGTERM, handler)
    return end.value.code


def test_without_a_word_the_help_is_printed_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of_main(monkeypatch) == 2
    printed = capsys.readouterr()
    assert "Usage: " in printed.out
    assert printed.err == ""


def test_a_word_that_cannot_be_parsed_is_a_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of_main(monkeypatch, "trace", "train.toml", "--step", "0") == 2
    assert capsys.readouterr().err.endswith(" See gristmill --help\n")


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> list[str]:
        raise LookupError("a bug")

    monkeypatch.setattr("pipelines.verbs.status.describe", broken)
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["gristmill", "status", "run"])
    try:
        with pytest.raises(LookupError, match="a bug"):
            main()
    finally:
        signal.signal(signal.SIGTERM, handler)


def test_each_command_of_the_tables_is_in_the_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of_main(monkeypatch, "--help") == 0
    printed = capsys.readouterr().out
    named = [line.strip("│ ").split()[0] for line in printed.splitlines() if line.startswith("│ ") and line[2] != " "]
    assert [name for name in named if not name.startswith("-")] == [*cli.COMMANDS, *cli.GROUPS]


def test_the_version_is_that_of_the_installation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of_main(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"gristmill {metadata.version('gristmill')}\n"


@pytest.mark.parametrize(
    "words", [[], *([name] for name in (*cli.COMMANDS, *cli.GROUPS)), ["index", "add"]], ids=" ".join
)
def test_h_shows_the_help(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of_main(monkeypatch, *words, "-h") == 0
    assert " ".join(["Usage: gristmill", *words]) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "found"), [("gristmill ver", "verify\nverify-run\n"), ("gristmill run --ov", "--overwrite\n")]
)
def test_a_shell_completes_commands_and_options(
    typed: str, found: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_GRISTMILL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    assert exit_code_of_main(monkeypatch) == 0
    assert capsys.readouterr().out == found


def test_the_help_loads_no_heavy_library() -> None:
    code = "import sys, pipelines.cli; print([name for name in ('pyarrow', 'numba', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("executor", ["pool", "in-process"])
def test_sigterm_ends_a_run_like_ctrl_c(folder: Path, executor: str) -> None:
    made = Crawl()
    for i in range(600):
        made.page(f"https://a.example/{i}", article(f"Page {i}", sentences(i) * 20))
    made.write(folder / "crawl" / "long.warc.gz")
    (folder / "recipe.toml").write_text(RECIPE.replace('engine = "resiliparse"', 'engine = "trafilatura"'))
    words = ("run", "recipe.toml", "--set", "source.paths=crawl", "--executor", executor, "--workers", "1")
    command = [sys.executable, "-m", "pipelines", *words, "--out", "run"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while not list(folder.glob("run/work/0/*.part")) and process.poll() is None:
        time.sleep(0.02)
    process.terminate()
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "To resume: gristmill run" in printed
    assert "Traceback" not in printed


def test_sigterm_before_the_first_unit_is_a_line_too(folder: Path) -> None:
    code = (
        "import os, signal, sys, pipelines.cli as c, pipelines.recipe as r\n"
        "r.load_recipe = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.argv = ['gristmill', 'run', 'recipe.toml']\n"
        "c.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "interrupted; to resume: gristmill run recipe.toml" in done.stderr
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def paths_of_commands() -> list[tuple[str, ...]]:
    """(name of a parameter that is a path, words that call its command with a URL for it)."""
    groups = {(group, name): command for group, (_, of) in cli.GROUPS.items() for name, command in of.items()}
    commands = {(name,): command for name, command in cli.COMMANDS.items()} | groups
    found = []
    for words, command in commands.items():
        parameters = inspect.signature(command).parameters.values()
        for asked in parameters:
            if "Path" in str(getattr(asked.annotation, "__origin__", "")):  # none of typer's context
                given = [word for parameter in parameters for word in words_for(parameter, parameter is asked)]
                found.append((f"{' '.join(words)} {asked.name}", *words, *given))
    return found


def words_for(parameter: inspect.Parameter, is_asked: bool) -> list[str]:
    if not is_asked and parameter.default is not parameter.empty:
        return []
    (about,) = parameter.annotation.__metadata__
    choices = get_args(parameter.annotation.__origin__)
    value = "s3://bucket/folder" if is_asked else str(choices[0]) if choices else "1"
    if not isinstance(about, typer.models.OptionInfo):
        return [value]
    return [about.default if isinstance(about.default, str) else f"--{parameter.name}", value]


RUNS = {
    *(
        "run folder",
        "submit folder",
        "merge runs",
        "merge to",
        "apply folder",
        "apply to",
        "status folder",
        "verify folder",
        "report folder",
        "report against",
        "serve folder",
        "whatif folder",
    ),
    *("explain folder", "pairs folder", "contamination folder", "diff before", "diff after", "remove folders"),
    *("index add folder", "index remove runs", "tokenize shards", "tokenizer train shards"),
    *("tokenizer extend shards", "tokenizer report shards", "tokenize to", "export-tokens tokens"),
}
LOCAL = [words for words in paths_of_commands() if words[0] not in RUNS]


@pytest.mark.parametrize("words", [words for words in paths_of_commands() if words[0] in RUNS], ids=lambda w: w[0])
def test_a_run_may_be_a_url_in_every_command(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["s3://me:word@bucket/folder" if word == "s3://bucket/folder" else word for word in words[1:]]
    assert exit_code_of_main(monkeypatch, *given) == 2
    said = capsys.readouterr().err.replace("\n", " ")
    assert said.startswith("gristmill: s3://…: holds a login or a signature")
    assert "word" not in said


def test_commands_take_urls_for_runs_and_their_shards() -> None:
    assert {words[0] for words in paths_of_commands()} >= RUNS


@pytest.mark.parametrize("words", LOCAL, ids=lambda words: words[0])
def test_a_url_is_refused_wherever_a_command_takes_another_path(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = exit_code_of_main(monkeypatch, *words[1:])
    says = "gristmill: s3://bucket/folder: is a URL, where a path on this disk is needed; name one, and copy to or from"
    assert (code, capsys.readouterr().err.replace("\n", " ")[: len(says)]) == (2, says)
    assert [*tmp_path.iterdir()] == []


def test_every_command_that_writes_a_folder_or_file_is_among_them() -> None:
    asked = {words[0] for words in paths_of_commands()}
    written = {
        "run folder",
        "apply to",
        "pairs to",
        "demo folder",
        "calibrate to",
        "tokenize to",
        "pretrain config",
        "tokenizer train to",
        "classifier train to",
        "classifier apply to",
        "extractor train to",
        "index add index",
        "index remove index",
    }
    assert written <= asked
