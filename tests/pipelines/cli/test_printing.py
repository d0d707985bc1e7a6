"""What is printed is what is meant: no markup in paths, no control characters of pages, a line at every end."""

import json
from pathlib import Path

import pytest
from command import gristmill

from pipelines.cli.printing import show, show_all, show_json, visible
from pipelines.lines import Table, Titled


@pytest.mark.parametrize("out", ["o/[/x]", "o/[red]a :smile: ü [b]"])
def test_a_path_is_printed_as_it_is(folder: Path, out: str) -> None:
    words = ("run", "recipe.toml", "--set", "source.paths=crawl", "--executor", "in-process", "--out", out)
    for command, says in (
        (words, f"kept (83.3%), in {out}/shards"),
        (words, f"{out} is done already"),
        (("status", out), f"{out}: done"),
        (("verify", out), f"{out}: 1 unit whole"),
        (("report", out), f"wrote {out}/report.html"),
    ):
        done = gristmill(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert says in done.stdout
    (folder / out / "run.json").write_text("{}")
    assert gristmill("verify", out, cwd=folder).stderr.startswith(f"gristmill: {out}/run.json: digest: missing")


def test_pages_do_not_steer_the_terminal(folder: Path) -> None:
    done = gristmill("sample", "recipe.toml", "crawl", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "[bold]short[/x] :smile: ⟨RLO⟩." in done.stdout
    assert "\x9b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_control_characters_become_visible(capsys: pytest.CaptureFixture[str]) -> None:
    show("a\x1b[31m\udcff [b] :smile: ü")
    assert capsys.readouterr().out == "a\\x1b[31m\\udcff [b] :smile: ü\n"
    assert visible("one\ntwo") == "one\\ntwo"


def test_titles_and_cells_of_tables_are_made_visible_too(capsys: pytest.CaptureFixture[str]) -> None:
    show_all([Titled("a\x1b", "b\x9b"), Table(("name", "number"), (("c\u202e", "12"), ("[d]", "3")), numbers=True)])
    assert capsys.readouterr().out.splitlines() == [
        "a\\x1b  b\\x9b",
        "name     number",
        "c\\u202e      12",
        "[d]           3",
    ]


@pytest.mark.parametrize("indent", [1, None])
def test_json_steers_no_terminal_and_keeps_its_values(capsys: pytest.CaptureFixture[str], indent: int | None) -> None:
    value = {"url": "a\x1b\x85\u2028\u202e\n\\x ü", "list": ["\x00", "мельница"]}
    show_json(value, indent=indent)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert not [character for character in "\x1b\x85\u2028\u202e\x00" if character in printed]
    assert "мельница" in printed
    assert len(printed.splitlines()) == (1 if indent is None else 7)
