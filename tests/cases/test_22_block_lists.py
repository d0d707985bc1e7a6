"""A block list is read in the formats in which lists are published, and what it cannot say is said."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case
from typer.testing import CliRunner

from pipelines.cli import app


def test_each_format_blocks_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("22", tmp_path))
    assert run_case(tmp_path).dropped() == {"url.blocked_domain": 9}


def test_a_line_that_names_no_host_is_noted_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("22", tmp_path))
    with Path("in/blocked.txt").open("a") as file:
        file.write("plain.example##.banner\n")
    done = CliRunner().invoke(app, ["run", "recipe.toml", "--out", "out", "--executor", "in-process"])
    assert done.exit_code == 0
    note = "lines that name no host and block nothing: 1, the first is line 11: 'plain.example##.banner'"
    hosts = "hosts that it blocks: 8"
    assert done.stdout.startswith(f"note: url.blocked_domains: in/blocked.txt: {note}; {hosts}\n")
